"""Random inputs that switch activations on and off."""

import keras
import numpy as np

from rrelu_tf.strip.doubles import double_type


def random_inputs(graph, samples):
    """Random inputs of a model, of several kinds and magnitudes.

    Args:
        graph: the model's `Graph`.
        samples: number of examples; a fixed batch size goes first.

    Returns:
        List of tensors, one for each input, of its dtype.
    """
    generator = np.random.default_rng(0)
    arrays = []
    for number in graph.inputs:
        tensor = graph.tensors[number]
        # Unknown sizes: small, and enough for several strides of 2.
        batch, *shape = tensor.shape
        shape = [32 if size is None else size for size in shape]
        count = batch or samples
        if double_type(graph, number) == "float64":
            signs = generator.choice([-1, 1], size=shape[-1:])
            values = np.stack(
                [_draw(generator, shape, signs, i) for i in range(count)]
            )
        else:  # pixels, or indices small enough for any table
            top = 256 if tensor.dtype == "uint8" else 2
            values = generator.integers(top, size=(count, *shape))
        arrays.append(keras.ops.convert_to_tensor(values, tensor.dtype))
    return arrays


def _draw(generator, shape, signs, number):
    """One random example: as it is, shifted, sparse or constant, by turns.

    Each channel is shifted to one side and, the next time, to the other.
    """
    values = generator.normal(size=shape)
    kind = number % 4
    if kind == 1:
        values += 8 * signs * (-1) ** (number // 4)
    elif kind == 2:
        values *= generator.random(shape) < 0.1
    elif kind == 3:
        values = np.broadcast_to(generator.normal(size=shape[-1:]), shape)
    # 1/16 ... 64 in steps that meet large and small early.
    return values * 2.0 ** ((number * 3 + 4) % 11 - 4)
