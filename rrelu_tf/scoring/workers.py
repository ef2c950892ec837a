"""The processes that compute one score together."""

import itertools

import numpy as np
import tensorflow as tf


class Workers:
    """Deals batches out to processes, and adds up what they find.

    A model made under `tf.distribute.MultiWorkerMirroredStrategy` is scored by
    all of its workers, each of which must ask for the score, with the same
    data. Any other is scored by this process.
    """

    def __init__(self, model):
        """`model` is a `keras.Model`."""
        self._strategy = model.distribute_strategy
        self._index, self._count = 0, 1
        several = tf.distribute.MultiWorkerMirroredStrategy
        if isinstance(self._strategy, several):
            resolver = self._strategy.cluster_resolver
            self._index, self._count = _place(resolver)

    def own(self, batches):
        """Every n-th of the batches, from this one's place among n workers."""
        return itertools.islice(batches, self._index, None, self._count)

    def total(self, parts):
        """The sums of all workers' float64 arrays, a list of such."""
        if self._count == 1:
            return parts
        flat = np.concatenate([np.ravel(part) for part in parts])
        total = self._strategy.reduce(
            tf.distribute.ReduceOp.SUM, tf.constant(flat), axis=None
        ).numpy()
        sizes = [np.size(part) for part in parts]
        return [
            each.reshape(np.shape(part))
            for each, part in zip(
                np.split(total, np.cumsum(sizes)[:-1]), parts, strict=True
            )
        ]


def own_copy(variable):
    """The `tf.Variable` of a Keras variable that a gradient can be taken by.

    Under a strategy that is the copy of this process's first device.
    """
    value = variable.value
    if not isinstance(value, tf.distribute.DistributedValues):
        return value
    return value.distribute_strategy.experimental_local_results(value)[0]


def _place(resolver):
    """This task's place among chief and workers, and how many there are."""
    jobs = resolver.cluster_spec().as_dict()
    chiefs, workers = (len(jobs.get(kind, ())) for kind in ("chief", "worker"))
    first = 0 if resolver.task_type == "chief" else chiefs
    return first + resolver.task_id, chiefs + workers
