"""TensorBoard: scalars, slope histograms and the graph."""

import keras
import tensorflow as tf

from rrelu_tf.training import slopes


class Monitoring(keras.callbacks.Callback):
    """Writes each epoch's measurements for TensorBoard.

    Scalars `epoch/...` are what `metrics.csv` holds; `slopes_alive/...` counts
    per layer the slopes above `zeta`; histograms `slopes/...` show them. Step
    k is the end of epoch k. After a kill an epoch may be there twice, with
    the same values.

    Args:
        folder: where TensorBoard is to look.
        zeta: float, |slope| above which a channel counts as alive.
        graph: bool, whether the run begins: then the graph, and the slopes as
            they are at step 0, are written, too.
    """

    def __init__(self, folder, zeta, graph):
        super().__init__()
        self.folder = folder
        self.zeta = zeta
        self.graph = graph

    def on_train_begin(self, logs=None):
        """Opens the log, and writes the graph."""
        self._writer = tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default(step=0):
            if self.graph:
                tf.summary.graph(_inference_graph(self.model))
                self._write_slopes()
        self._writer.flush()

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's scalars and histograms."""
        with self._writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(f"epoch/{name}", value)
            self._write_slopes()
        self._writer.flush()

    def _write_slopes(self):
        values = slopes.of(self.model)
        for name, count in slopes.alive(values, self.zeta).items():
            tf.summary.scalar(f"slopes_alive/{name}", count)
        for name, slope in values.items():
            tf.summary.histogram(f"slopes/{name}", slope)


def _inference_graph(model):
    shape = (None, *model.input_shape[1:])
    signature = [tf.TensorSpec(shape, tf.float32, name="images")]
    function = tf.function(
        lambda images: model(images, training=False),
        input_signature=signature,
        autograph=False,
    )
    return function.get_concrete_function().graph
