"""What the OrthoReg authors' code does otherwise: `protocol="seed"`.

One table, by family of architectures. Source: their commit 869f049,
arXiv 2009.05014.
"""

from rrelu_tf.errors import UserError

# Method -> options, in every family.
_OPTIONS = {
    "bn": {"over_fan_in": False},
    "fisher": {"per_sample": False},
    "orthoreg": {"per_sample": False},
    "tfo": {"beta": False, "per_batch": False},
    "rdt": {
        "per_sample": False,
        "per_weight": True,
        "times_weights": False,
        "over_mean": True,
    },
}
# Family -> method -> options besides.
_FAMILIES = {
    "vgg": {"bn": {"over_fan_in": True}},
    "mobilenet": {},
    "resnet": {},
}


def options(model, method):
    """The options that a score has in the authors' code.

    Args:
        model: a `keras.Model`, whose family is what its name begins with.
        method: name of a score.

    Returns:
        dict of options; the others stay as they are.

    Raises:
        UserError: a model of none of the families.
    """
    for family, methods in _FAMILIES.items():
        if model.name.startswith(family):
            return _OPTIONS.get(method, {}) | methods.get(method, {})
    raise UserError(
        "protocol=seed is for models whose names begin with "
        f"{', '.join(_FAMILIES)}. Received: model={model.name}"
    )
