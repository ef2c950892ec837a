"""What the OrthoReg authors count as the prunable units of their nets."""

import dataclasses

from rrelu_tf import seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.scoring import scored
from rrelu_tf.scoring.filters import channels
from rrelu_tf.strip import keras_2
from rrelu_tf.strip.stripped import Stripped


@dataclasses.dataclass(frozen=True)
class Unit:
    """A convolution and the norm behind it.

    Attributes:
        conv: the convolution's key.
        norm: the norm's key.
        width: int, how many filters it has.
        first: int, how many it had before the first round of pruning.
    """

    conv: str
    norm: str
    width: int
    first: int


def units(model):
    """The units in forward order, as the authors number them.

    Args:
        model: one of the authors' nets, or what is left of it.

    Returns:
        List of `Unit`.

    Raises:
        UserError: a model of none of the families, or of other layers.
    """
    keras_2.refuse(model)
    seed_protocol.family(model)
    convs, norms = scored.kernels(model), scored.norms(model)
    widths = (isinstance(model, Stripped) and model.widths) or {}
    pairs = list(zip(convs.items(), norms.items(), strict=False))
    if len(convs) != len(norms) or any(
        channels(conv) != norm.gamma.shape[0] for (_, conv), (_, norm) in pairs
    ):
        raise UserError(
            "protocol=seed knows nets in which a norm follows each convolution."
            f" Received: model={model.name} of {len(convs)} convolutions and "
            f"{len(norms)} norms"
        )
    return [
        Unit(conv, norm, channels(layer), widths.get(conv, channels(layer)))
        for (conv, layer), (norm, _) in pairs
    ]


def by_unit(found, values, what):
    """What is given by key of the convolutions, or of the norms.

    Args:
        found: list of `Unit`.
        values: dict: key -> anything.
        what: its name, for errors.

    Returns:
        (keys, values), lists in the units' order.

    Raises:
        UserError: if there is not one for each unit, and no other.
    """
    for keys in ([u.conv for u in found], [u.norm for u in found]):
        if set(keys) == set(values):
            return keys, [values[key] for key in keys]
    convs, norms = {u.conv for u in found}, {u.norm for u in found}
    keys = norms if norms & set(values) else convs
    odd = sorted(keys - set(values)) or sorted(set(values) - keys)
    raise UserError(
        f"protocol=seed needs {what} of every convolution but for the output, "
        "or of every norm, and of nothing else. "
        f"Received: {len(values)} keys, {len(found)} units, first odd one: "
        f"key={odd[0]}"
    )
