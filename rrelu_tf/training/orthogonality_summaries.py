"""TensorBoard: how orthogonal each layer's filters are."""

import keras
import tensorflow as tf

from rrelu_tf.analysis import orthogonality
from rrelu_tf.strip import keras_2


class OrthogonalitySummaries(keras.callbacks.Callback):
    """Writes each layer's degree of orthogonality after each epoch.

    Scalars `orthogonality/<layer>`, in (0, 1], 1 for orthogonal filters: what
    `rrelu_tf.analysis.orthogonality` gives. Step k is the end of epoch k.

    Args:
        log_dir: where TensorBoard is to look.
        begins: whether training begins: then the degrees before it are written
            as step 0, too.
        protocol: None, or "seed", as `orthogonality` takes it.

    Raises:
        UserError: a model of tf_keras.
    """

    def __init__(self, log_dir, begins=True, protocol=None):
        super().__init__()
        self.log_dir = log_dir
        self.begins = begins
        self.protocol = protocol

    def set_model(self, model):
        """Takes the model, if it is of Keras 3."""
        keras_2.refuse(model, "train that one")
        super().set_model(model)

    def on_train_begin(self, logs=None):
        """Opens the log."""
        self._writer = tf.summary.create_file_writer(str(self.log_dir))
        if self.begins:
            self._write(0)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's degrees."""
        self._write(epoch + 1)

    def on_train_end(self, logs=None):
        """Closes the log."""
        self._writer.close()

    def _write(self, step):
        degrees = orthogonality(self.model, protocol=self.protocol)
        with self._writer.as_default(step=step):
            for key, degree in degrees.items():
                tf.summary.scalar(f"orthogonality/{key}", degree)
        self._writer.flush()
