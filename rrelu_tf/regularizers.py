"""OrthoReg: filters that are orthonormal, of kernels of any rank."""

import math
import numbers

import keras
from keras import ops

from rrelu_tf import gram
from rrelu_tf.errors import UserError


@keras.saving.register_keras_serializable(package="rrelu_tf")
class OrthoReg(keras.regularizers.Regularizer):
    """Penalises what keeps a kernel's filters from being orthonormal.

    With M the kernel as a matrix (fan-in, filters) and G the smaller of its
    two Gram matrices, `M^T M` (filters, filters) and `M M^T` (fan-in, fan-in):

        penalty = factor * weight * norm(G - I)

    - "l1": the sum of the absolute entries, neither squared nor averaged. Its
      gradient by M is `2 M sign(G - I)` (or the sign from the left), 0 at 0.
    - "frobenius": the sum of the squared entries.
    - "spectral": the largest absolute eigenvalue, exactly; where Bansal et al.
      (2018), "Can We Gain More from Orthogonality Regularizations in Training
      Deep CNNs?", iterate.

    Source: "OrthoReg: Robust Network Pruning Using Orthonormality
    Regularization" (arXiv 2009.05014) and its authors' code, which takes "l1",
    a factor of 1e-2 (MobileNet-V1: 1e-3) and, for each layer of a model, a
    weight proportional to sqrt(filters), with a sum of 1 over the model:
    `rrelu_tf.orthogonalize` sets these.

    A layer's bias can be one more entry of each filter: as the row that
    `rrelu_tf.layers.AugmentedConv2D` and the like add to M.

    `keras.regularizers.OrthogonalRegularizer` is another thing: it takes
    matrices of rank 2 alone, makes each row (or column) a unit vector first,
    so that lengths are free, and averages over the pairs.

    Args:
        factor: float, at least 0.
        weight: float, at least 0: the layer's share of the penalty.
        norm: "l1", "frobenius" or "spectral".
        side: "smaller"; or "filters" or "inputs" for that side's Gram matrix,
            however large: of the larger side it can never be I.
        filters: the kernel's axis of filters, or a tuple of axes. -1 for
            `Conv*D` (grouped ones too: a filter has only its group's inputs),
            `Dense` and the pointwise kernel of `SeparableConv*D`; (-2, -1)
            for `DepthwiseConv*D`, whose kernel is (..., channels, multiplier);
            -2 for `Conv*DTranspose`.
        besides: another Keras regularizer of the same kernel, whose penalty is
            added: a Keras layer has room for one.

    Raises:
        UserError: an argument that breaks its rule.
    """

    def __init__(
        self,
        factor=1e-2,
        *,
        weight=1.0,
        norm="l1",
        side="smaller",
        filters=-1,
        besides=None,
    ):
        self.factor = not_negative("factor", factor)
        self.weight = not_negative("weight", weight)
        if norm not in _NORMS:
            raise UserError(
                f"norm must be one of {', '.join(_NORMS)}. "
                f"Received: norm={norm}"
            )
        if side not in gram.SIDES:
            raise UserError(
                f"side must be one of {', '.join(gram.SIDES)}. "
                f"Received: side={side}"
            )
        self.norm = norm
        self.side = side
        self.filters = _axes(filters)
        self.besides = keras.regularizers.get(besides)

    def __call__(self, kernel, bias=None):
        """The penalty, a scalar of the kernel's dtype, or float32 if wider.

        Args:
            kernel: of rank 2 or more.
            bias: None, or (filters,): a further entry of each filter.
        """
        added = 0.0 if self.besides is None else self.besides(kernel)
        kernel, bias = _wide(kernel), None if bias is None else _wide(bias)
        matrix = gram.matrix(kernel, self.filters, bias)
        distance = _distance(matrix, self.norm, self.side)
        return self.factor * self.weight * distance + added

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            "factor": self.factor,
            "weight": self.weight,
            "norm": self.norm,
            "side": self.side,
            "filters": self.filters,
            "besides": self.besides
            and keras.regularizers.serialize(self.besides),
        }


def _axes(filters):
    """An int as it is, several as a tuple: JSON makes a list of it."""
    several = isinstance(filters, (tuple, list))
    axes = tuple(filters) if several else (filters,)
    if not axes or not all(isinstance(axis, int) for axis in axes):
        raise UserError(
            f"filters must be one axis or several. Received: filters={filters}"
        )
    return axes if several else filters


def not_negative(name, value):
    """The value as a float; raises `UserError` unless finite, at least 0."""
    number = isinstance(value, numbers.Real) and math.isfinite(value)
    if not number or value < 0:
        raise UserError(
            f"{name} must be a finite number, at least 0. "
            f"Received: {name}={value}"
        )
    return float(value)


def _wide(weight):
    """Float16 and bfloat16 as float32: sums of many squares need it."""
    tensor = ops.convert_to_tensor(weight)
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    half = dtype in ("float16", "bfloat16")
    return ops.cast(tensor, "float32") if half else tensor


def _distance(matrix, norm, side):
    """The norm of G - I, with its gradient in closed form.

    With D, symmetric, the derivative by G, that by M is 2 M D or 2 D M: one
    product, where automatic differentiation takes two.
    """
    of_filters = gram.is_of_filters(matrix, side)

    @ops.custom_gradient
    def distance(matrix):
        products = gram.gram(matrix, side)
        identity = ops.eye(products.shape[0], dtype=products.dtype)
        value, slope = _NORMS[norm](products - identity)

        def gradient(upstream):
            pair = (matrix, slope) if of_filters else (slope, matrix)
            return 2.0 * upstream * ops.matmul(*pair)

        return value, gradient

    return distance(matrix)


def _l1(error):
    return ops.sum(ops.absolute(error)), ops.sign(error)


def _frobenius(error):
    return ops.sum(ops.square(error)), 2.0 * error


def _spectral(error):
    values, vectors = ops.eigh(error)  # ascending
    last = ops.absolute(values[-1]) >= ops.absolute(values[0])
    value = ops.where(last, values[-1], values[0])
    vector = ops.where(last, vectors[:, -1], vectors[:, 0])
    return ops.absolute(value), ops.sign(value) * ops.outer(vector, vector)


_NORMS = {"l1": _l1, "frobenius": _frobenius, "spectral": _spectral}
