"""How long the paths through a residual net are, in filters that are alive.

Unrolled, a residual net of n blocks is 2^n paths: each block is taken or
skipped (Veit et al., 2016). The RReLU paper measures a path by the filters
that are alive in the blocks it takes, and counts the 2^18 of WRN-40-4 one by
one; here the numbers are the coefficients of a polynomial.
"""

import keras
import numpy as np

from rrelu_tf.analysis.levels import levels
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated

# Gates of squeeze-and-excite are activations, too, but no filters.
_PLAIN = ("relu", "relu6", "gelu", "silu", "leaky_relu", "elu")


def path_lengths(block_filters):
    """The lengths of all paths, and how many paths have each.

    The number of paths of length k is the coefficient of x^k in the product
    of (1 + x^filters) over the blocks: a convolution for each block.

    Args:
        block_filters: filters alive in each residual block, ints of at least
            0; a sequence, or a dict as `block_filters` returns it.

    Returns:
        (lengths, counts): int array of the lengths that occur, ascending, and
        an array of as many Python ints, exact for any number of blocks; their
        sum is 2 to the number of blocks.

    Raises:
        UserError: if there are no blocks, or a number is not such an int.
    """
    filters = _checked(block_filters)
    counts = np.zeros(sum(filters) + 1, object)
    counts[0] = 1
    for number in filters:
        taken = counts[: len(counts) - number].copy()
        counts[number:] += taken
    lengths = np.flatnonzero(counts)
    return lengths, counts[lengths]


def block_filters(model, zeta=0.0):
    """How many filters are alive in each residual block of a model.

    A block is known by its names: `block1_0_add` makes a block of all layers
    called `block1_0_...`, as in this package's models, in keras.applications'
    ResNets, MobileNets and EfficientNets and wherever else an Add carries its
    block's name. Its filters are the channels of its activations that are not
    the same for every input, as one is whose batch normalisation is masked; of
    a rotated activation those whose |slope| exceeds zeta. What no Add belongs
    to lies on every path, and is not counted.

    Args:
        model: a functional `keras.Model`, masked or not. `rrelu_tf.strip`
            removes dead blocks with their Adds: each halves the number of
            paths, and leaves the shares of their lengths as they are.
        zeta: float, |slope| up to which a filter counts as dead.

    Returns:
        dict: the block's name -> int, in forward order.

    Raises:
        UserError: if no block with an activation is found.
    """
    nodes = [(level, n, level.key(n)) for level, n in levels(model).walk()]
    found = {
        _block(key): 0
        for _, node, key in nodes
        if isinstance(node.layer, keras.layers.Add) and _block(key)
    }
    active = set()
    for level, node, key in nodes:
        alive = _alive(level, node, zeta)
        # `conv2_block1_1` and `block1_0` alike: the longest name that fits.
        fitting = [name for name in found if key.startswith(f"{name}_")]
        if alive is not None and fitting:
            name = max(fitting, key=len)
            active.add(name)
            found[name] += alive
    if not active:
        raise UserError(
            "Paths need residual blocks: an Add and activations that share a "
            f"name up to the last underscore. Received: model={model.name}"
        )
    return {name: found[name] for name in found if name in active}


def known_block_filters(model):
    """The same as `block_filters`; None for a model without residual blocks."""
    try:
        return block_filters(model)
    except UserError:
        return None


def _block(key):
    return key.rpartition("_")[0]


def _alive(level, node, zeta):
    """Filters that an activation lets through; None for other layers."""
    name = type(node.layer).__name__
    if isinstance(node.layer, keras.layers.Activation):
        name = node.layer.activation.__name__
    rotated = isinstance(node.layer, Rotated)
    plain = name in _PLAIN or isinstance(node.layer, keras.layers.ReLU)
    if not (rotated or plain):
        return None
    constant = level.channels(node, level.live.constant[node.outputs[0]])
    varies = np.broadcast_to(np.isnan(constant), level.graph.channels(node))
    if rotated:
        slope = keras.ops.convert_to_numpy(node.layer.slope)
        varies = varies & (np.abs(slope) > zeta)
    return int(np.count_nonzero(varies))


def _checked(block_filters):
    if isinstance(block_filters, dict):
        block_filters = block_filters.values()
    filters = list(block_filters)
    if not filters:
        raise UserError(
            "Paths need at least one residual block. Received: block_filters=[]"
        )
    for number in filters:
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise UserError(
                "The filters alive in a block must be a whole number of at "
                f"least 0. Received: block_filters={number}"
            )
    return [int(number) for number in filters]
