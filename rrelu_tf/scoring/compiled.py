"""Functions of batches, compiled once."""

import tensorflow as tf


def compiled(function):
    """A function of batches as one graph, whatever their size.

    A `tf.function` would be traced again for the last batch, smaller than the
    rest, and traces of deep networks' gradients take seconds.

    Args:
        function: of tensors, or structures of them, all with the batch first.

    Returns:
        A function of the same arguments and results.
    """
    traced = None

    def call(*batch):
        nonlocal traced
        if traced is None:
            signature = tf.nest.map_structure(_any_size, batch)
            # Called itself, a `tf.function` would warn of a loop around it.
            traced = tf.function(
                function, autograph=False
            ).get_concrete_function(*signature)
        return traced(*batch)

    return call


def _any_size(tensor):
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
