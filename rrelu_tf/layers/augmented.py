"""Layers whose OrthoReg sees the bias as one more entry of each filter."""

import keras

from rrelu_tf.layers.convolutions import Conv2D, DepthwiseConv2D
from rrelu_tf.regularizers import OrthoReg


class Augmented:
    """What a layer needs to regularise its augmented matrix `[W | bias]`.

    A Keras regulariser is given the kernel alone. Here an `OrthoReg` of the
    kernel is given the bias, too; any other regulariser is not. Otherwise the
    layer is the Keras layer that it derives from.
    """

    _regularizer = "kernel_regularizer"

    def build(self, input_shape):
        """Makes the weights."""
        super().build(input_shape)
        if self.kernel.regularizer is not None:
            self.kernel.regularizer = self._penalty

    def _penalty(self, kernel):
        regularizer = getattr(self, self._regularizer)
        if isinstance(regularizer, OrthoReg):
            return regularizer(kernel, self.bias)
        return regularizer(kernel)


_register = keras.saving.register_keras_serializable(package="rrelu_tf")


@_register
class AugmentedConv1D(Augmented, keras.layers.Conv1D):
    """`Conv1D` whose OrthoReg sees the bias."""


@_register
class AugmentedConv2D(Augmented, Conv2D):
    """`Conv2D` whose OrthoReg sees the bias."""


@_register
class AugmentedConv3D(Augmented, keras.layers.Conv3D):
    """`Conv3D` whose OrthoReg sees the bias."""


@_register
class AugmentedDepthwiseConv1D(Augmented, keras.layers.DepthwiseConv1D):
    """`DepthwiseConv1D` whose OrthoReg sees the bias."""

    _regularizer = "depthwise_regularizer"


@_register
class AugmentedDepthwiseConv2D(Augmented, DepthwiseConv2D):
    """`DepthwiseConv2D` whose OrthoReg sees the bias."""

    _regularizer = "depthwise_regularizer"


@_register
class AugmentedDense(Augmented, keras.layers.Dense):
    """`Dense` whose OrthoReg sees the bias."""


# Layer -> the one that is augmented.
AUGMENTED = {
    keras.layers.Conv1D: AugmentedConv1D,
    keras.layers.Conv2D: AugmentedConv2D,
    Conv2D: AugmentedConv2D,
    keras.layers.Conv3D: AugmentedConv3D,
    keras.layers.DepthwiseConv1D: AugmentedDepthwiseConv1D,
    keras.layers.DepthwiseConv2D: AugmentedDepthwiseConv2D,
    DepthwiseConv2D: AugmentedDepthwiseConv2D,
    keras.layers.Dense: AugmentedDense,
}
