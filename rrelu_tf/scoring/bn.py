"""The BN score: how much a batch normalisation lets through."""

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.scoring import filters
from rrelu_tf.strip.graph import trace, walk
from rrelu_tf.strip.rules import passes_channels


def bn(passes, *, over_fan_in=False):
    """|gamma| per channel of each batch normalisation that has a scale.

    Source: Liu et al. (2017), "Learning Efficient Convolutional Networks
    through Network Slimming", section 3: an L1 penalty on the gammas while
    training, and one threshold on |gamma| over all layers. The OrthoReg
    authors' code divides by the fan-in in VGGs, and has no such penalty.

    Args:
        passes: the `Passes` over a model; no data are needed.
        over_fan_in: whether to divide by the entries of a filter (its bias
            not counted) of the convolution or dense layer before the norm.

    Returns:
        dict: layer name, `outer/inner` inside nested models -> float array
        (channels,).

    Raises:
        UserError: with `over_fan_in`, a norm behind no such layer.
    """
    scores = {
        key: np.abs(keras.ops.convert_to_numpy(layer.gamma))
        for key, layer in passes.norms.items()
    }
    if over_fan_in:
        sizes = _fans_in(passes.model)
        for key in scores:
            if key not in sizes:
                raise UserError(
                    "over_fan_in needs a convolution or dense layer before "
                    f"every batch normalisation. Received: norm={key}"
                )
            scores[key] = scores[key].astype("float64") / sizes[key]
    return scores


def _fans_in(model):
    """Key of a norm -> fan-in of the layer whose channels it normalises."""
    found = {}
    for graph, node, key in walk(trace(model)):
        if isinstance(node.layer, keras.layers.BatchNormalization):
            source = _filtering(graph, node)
            if source is not None:
                found.setdefault(key, filters.fan_in(source))
    return found


def _filtering(graph, node):
    """The layer with filters whose channels reach a node, or None."""
    makers = {t: maker for maker in graph.nodes for t in maker.outputs}
    maker = makers.get(node.inputs[0])
    while maker and not filters.has_filters(maker.layer):
        passes = len(maker.inputs) == 1 and passes_channels(graph, maker)
        maker = makers.get(maker.inputs[0]) if passes else None
    return maker and maker.layer
