"""TensorBoard: how far each layer is pruned."""

import os

import keras
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.wrappers.bare import wrappers
from rrelu_tf.strip import keras_2


class PruningSummaries(keras.callbacks.TensorBoard):
    """TensorBoard's callback, which also writes how far layers are pruned.

    The twin of `tfmot.sparsity.keras.PruningSummaries`. Scalars
    `<layer>/sparsity`, `<layer>/threshold` and `<layer>/alive_channels` at the
    beginning of each epoch and at the end of training, in `log_dir/metrics`;
    their step is the optimizer's.

    Args:
        log_dir: where TensorBoard is to look.
        update_freq: as of `keras.callbacks.TensorBoard`.
        **kwargs: as of `keras.callbacks.TensorBoard`.

    Raises:
        UserError: an empty `log_dir`, or one that is no path; a
            model of tf_keras.
    """

    def __init__(self, log_dir, update_freq="epoch", **kwargs):
        if not isinstance(log_dir, (str, os.PathLike)) or not str(log_dir):
            raise UserError(
                "log_dir must be a path that is not empty. "
                f"Received: log_dir={log_dir!r}"
            )
        super().__init__(
            log_dir=str(log_dir), update_freq=update_freq, **kwargs
        )
        self._pruning = None

    def set_model(self, model):
        """Takes the model, if it is of Keras 3."""
        keras_2.refuse(model, "call rrelu_tf.prune_channels")
        super().set_model(model)

    def on_train_begin(self, logs=None):
        """Opens the log."""
        super().on_train_begin(logs)
        self._pruning = tf.summary.create_file_writer(
            os.path.join(self.log_dir, "metrics")
        )

    def on_epoch_begin(self, epoch, logs=None):
        """Writes how far the model is pruned."""
        super().on_epoch_begin(epoch, logs)
        self._write()

    def on_train_end(self, logs=None):
        """Writes once more, and closes the log."""
        self._write()
        self._pruning.close()
        super().on_train_end(logs)

    def _write(self):
        step = int(self.model.optimizer.iterations)
        with self._pruning.as_default(step=step):
            for key, wrapper in wrappers(self.model).items():
                stays = wrapper.kept()
                for name, value in (
                    ("sparsity", 1 - stays.mean()),
                    ("threshold", wrapper.lowest()),
                    ("alive_channels", stays.sum()),
                ):
                    tf.summary.scalar(f"{key}/{name}", value)
        self._pruning.flush()
