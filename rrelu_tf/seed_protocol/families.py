"""What the table says of a model."""

import re

from rrelu_tf.errors import UserError
from rrelu_tf.seed_protocol.table import FAMILIES, SCORES


def family(model):
    """The `Family` of a model, by its name as `models.create` gave it.

    Raises:
        UserError: a name of none of them.
    """
    return _called(model.name)


def factor(name):
    """The regulariser's lambda for a net, by its name.

    Raises:
        UserError: a name of none of them.
    """
    return _called(name).factor


def known(model):
    """Whether there is a row of the table for a model, by its name."""
    return _found(model.name) is not None


def _called(name):
    found = _found(name)
    if found is not None:
        return found
    raise UserError(
        f"protocol=seed knows models of the families {', '.join(FAMILIES)} by "
        "their names (vgg13, mobilenet_v1, resnet34, resnet56_b, ...). "
        f"Received: model={name}"
    )


def _found(name):
    for found in FAMILIES.values():
        if re.fullmatch(found.pattern, name):
            return found
    return None


def score_options(model, method):
    """The options that a score has in the authors' code, of a family's model.

    Raises:
        UserError: a model of none of the families.
    """
    return SCORES.get(method, {}) | family(model).scores.get(method, {})


def grams(found, kernels):
    """The `Gram` of each of a model's kernels.

    Args:
        found: the model's `Family`.
        kernels: its `filters.Filters`, in forward order.

    Raises:
        UserError: a kind of layer that the authors' net does not have.
    """
    chosen = [found.first]
    for kernel in kernels[1:]:
        if kernel.kind not in found.grams:
            kinds = ", ".join(found.grams)
            raise UserError(
                f"protocol=seed knows the net by its layers: {kinds}. "
                f"Received: {kernel.key}={kernel.kind}"
            )
        chosen.append(found.grams[kernel.kind])
    return chosen


def lender(found, key):
    """Key of the layer whose weight a layer takes: mostly its own."""
    return re.sub(*found.lent, key) if found.lent else key
