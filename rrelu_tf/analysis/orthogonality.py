"""How orthogonal the filters of each layer are."""

import numpy as np
from keras import ops
from rich.table import Table

from rrelu_tf import filters, gram, seed_protocol
from rrelu_tf.analysis import text
from rrelu_tf.errors import UserError


def orthogonality(model, *, bias=False, dense=False, protocol=None):
    """The degree of orthogonality of each layer's filters.

    With G the Gram matrix of the layer's filters, on the smaller side:
    `sum |diag(G)| / sum |G|`, 1 where G is diagonal (or 0), 1/n where n
    filters are one and the same.

    Source: the code of the OrthoReg authors (arXiv 2009.05014), which prints
    it beside their regulariser. Computed in float64.

    Args:
        model: a functional or built Sequential `keras.Model`.
        bias: whether a bias is one more entry of its filter.
        dense: whether dense layers are measured as well as convolutions.
        protocol: None, or "seed": the authors' sides and biases for their
            nets; see `rrelu_tf.orthogonalize`. It decides `bias` and `dense`.

    Returns:
        dict in forward order: layer name, `outer/inner` inside nested models
        -> float in (0, 1]. A separable convolution has two, `<layer>/<kernel>`.

    Raises:
        UserError: a model without such layers, or a protocol that is unknown,
            does not know the model, or decides what is given.
    """
    seed_protocol.check(protocol, bias=(bias, False), dense=(dense, False))
    kernels = filters.of(model, dense=dense)
    if not kernels:
        raise UserError(
            "Only convolutions (with dense=True, dense layers, too) have a "
            f"degree of orthogonality. Received: model={model.name}"
        )
    sides = ["smaller"] * len(kernels)
    if protocol:
        found = seed_protocol.family(model)
        sides = [g.degree for g in seed_protocol.grams(found, kernels)]
        bias = found.bias
    return {
        kernel.key: _degree(kernel, side, bias)
        for kernel, side in zip(kernels, sides, strict=True)
    }


def table(degrees):
    """What `orthogonality` returned, and its mean, as text."""
    shown = Table("layer")
    shown.add_column("degree of orthogonality", justify="right")
    for key, degree in degrees.items():
        shown.add_row(key, f"{degree:.4f}")
    shown.add_section()
    mean = sum(degrees.values()) / len(degrees)
    shown.add_row("mean", f"{mean:.4f}")
    return f"{text.render(shown)}\n"


def _degree(kernel, side, bias):
    with_bias = bias and kernel.bias is not None
    entry = _float64(kernel.bias) if with_bias else None
    matrix = gram.matrix(_float64(kernel.variable), kernel.axes, entry)
    products = np.abs(ops.convert_to_numpy(gram.gram(matrix, side)))
    total = products.sum()
    return float(np.trace(products) / total) if total else 1.0


def _float64(variable):
    return ops.cast(ops.convert_to_tensor(variable), "float64")
