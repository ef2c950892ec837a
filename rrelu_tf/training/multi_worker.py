"""MultiWorkerMirroredStrategy, as Keras 3 calls it."""

import tensorflow as tf


class MultiWorkerStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """TensorFlow's strategy, whose `reduce` takes what Keras gives it.

    Keras's `fit` (3.15) reduces a whole batch, a tuple of images and labels,
    and each step's metrics, scalars, along axis 0. MirroredStrategy takes
    both, this one neither. It is all that keeps `fit` and `evaluate` from
    working on several machines.
    """

    def reduce(self, reduce_op, value, axis=None):
        """Reduces each tensor of a structure over all replicas.

        Args:
            reduce_op: "SUM" or "MEAN", or a `tf.distribute.ReduceOp`.
            value: structure of tensors or per-replica tensors.
            axis: as of TensorFlow's; a scalar has none to be reduced along.
        """

        def reduced(part):
            local = self.experimental_local_results(part)[0]
            along = None if local.shape.rank == 0 else axis
            return super(MultiWorkerStrategy, self).reduce(
                reduce_op, part, axis=along
            )

        return tf.nest.map_structure(reduced, value)
