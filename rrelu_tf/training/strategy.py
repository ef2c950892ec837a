"""On which devices a step runs, with the meaning of one global batch."""

import keras
import tensorflow as tf
from keras import ops

from rrelu_tf.errors import UserError
from rrelu_tf.training import cluster
from rrelu_tf.training.multi_worker import MultiWorkerStrategy

MULTIWORKER = "multiworker"
_NAMES = ("auto", "none", "mirrored", MULTIWORKER)


def create(name="auto", virtual_devices=0):
    """Makes the strategy under whose `scope()` a model is built and compiled.

    The batch size stays that of all devices together: each of R replicas
    takes its share of every batch, and the gradients are summed. R replicas
    compute what one would, up to rounding, if
    - the loss is a `GlobalBatchLoss` or every batch splits evenly, and
    - there is no batch normalisation, or it is synchronised
      (`rrelu_tf.layers.BatchNormalization(synchronized=True)`). Otherwise
      each replica normalises by the statistics of its own share and has
      moving statistics of its own, of which the first's are saved: another,
      usually a slightly worse, computation.
    Keras clips gradients per replica, before they are summed.

    Args:
        name: "none" for one device; "mirrored" for all GPUs, each with a copy
            of the weights; "auto" for "mirrored" where TensorFlow sees more
            than one GPU, else "none"; "multiworker" for those of all the
            processes that TF_CONFIG names, each of which must call this, and
            which TensorFlow lets wait for each other (`workers.joined` tells
            which does not come). The same holds for it as for virtual devices.
        virtual_devices: above 0, "mirrored" (and "auto") splits the CPU into
            so many logical devices, to try replicas without GPUs. This must
            happen before anything starts TensorFlow's runtime, so before
            `keras.utils.set_random_seed` and before any tensor is made.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        UserError: if an argument breaks its rule, no GPU is there for
            "mirrored", TF_CONFIG is wrong, or the runtime has started.
    """
    check(name, virtual_devices)
    if name == MULTIWORKER:
        return _connect()
    if virtual_devices:
        _split_cpu(virtual_devices)
        return tf.distribute.MirroredStrategy(
            [f"CPU:{index}" for index in range(virtual_devices)]
        )
    gpus = len(tf.config.list_physical_devices("GPU"))
    if name == "mirrored" and not gpus:
        raise UserError(
            "The strategy mirrored needs a GPU, or virtual devices. "
            f"Received: virtual_devices={virtual_devices}"
        )
    if name == "mirrored" or (name == "auto" and gpus > 1):
        return tf.distribute.MirroredStrategy(
            [f"GPU:{index}" for index in range(gpus)]
        )
    return tf.distribute.get_strategy()


def check(name, virtual_devices=0):
    """Refuses arguments that `create` does, as far as no device matters.

    Raises:
        UserError: if one breaks its rule.
    """
    if name not in _NAMES:
        raise UserError(
            f"A strategy must be one of {', '.join(_NAMES)}. "
            f"Received: strategy={name}"
        )
    if virtual_devices < 0:
        raise UserError(
            "The number of virtual devices must be at least 0. "
            f"Received: virtual_devices={virtual_devices}"
        )
    if virtual_devices and name in ("none", MULTIWORKER):
        raise UserError(
            f"Virtual devices need the strategy mirrored, not {name}. "
            f"Received: virtual_devices={virtual_devices}"
        )


@keras.saving.register_keras_serializable(package="rrelu_tf")
class GlobalBatchLoss(keras.losses.Loss):
    """A loss whose gradient is that of the mean over the global batch.

    Keras averages over each replica's share and then over the replicas. Where
    a batch does not split evenly (the last of an epoch: 3 examples here and 2
    there) this weights the examples of the smaller share more. Here each
    replica's gradient is scaled by `share * replicas / batch` instead, which
    is exact. On one device, and in even batches, the factor is 1. The value,
    which Keras weights rightly by itself, is left as it is.

    Args:
        loss: a `keras.losses.Loss`, one value per example.
        name: defaults to that of `loss`.
        **kwargs: those of `keras.losses.Loss`, as `dtype`.
    """

    def __init__(self, loss, name=None, **kwargs):
        super().__init__(name=name or loss.name, **kwargs)
        self.loss = loss

    def call(self, y_true, y_pred):
        """The values of `loss`, of shape `(batch,)`."""
        values = self.loss.call(y_true, y_pred)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return values
        share = tf.cast(tf.shape(values)[0], values.dtype)
        batch = replica.all_reduce(tf.distribute.ReduceOp.SUM, share)
        scaled = values * (share * replica.num_replicas_in_sync / batch)
        return scaled + ops.stop_gradient(values - scaled)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        loss = keras.saving.serialize_keras_object(self.loss)
        return super().get_config() | {"loss": loss}

    @classmethod
    def from_config(cls, config):
        """The loss of `get_config`."""
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**config | {"loss": loss})


def _connect():
    cluster.of_environment()  # TensorFlow's own errors do not say what to do
    try:
        return MultiWorkerStrategy()
    except RuntimeError as error:
        raise UserError(
            "Workers must be connected before TensorFlow's runtime starts "
            "(before any seed is set or tensor made). "
            f"Received: strategy={MULTIWORKER}"
        ) from error


def _split_cpu(parts):
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * parts
        )
    except RuntimeError as error:
        raise UserError(
            "Virtual devices must be asked for before TensorFlow's runtime "
            "starts (before any seed is set or tensor made). "
            f"Received: virtual_devices={parts}"
        ) from error
