"""Layers whose OrthoReg sees the bias."""

import keras
import numpy as np
import pytest

from rrelu_tf import layers
from rrelu_tf.regularizers import OrthoReg

BUILT = {
    "AugmentedConv1D": ((8, 3), {"filters": 4, "kernel_size": 2}),
    "AugmentedConv2D": ((8, 8, 3), {"filters": 4, "kernel_size": 2}),
    "AugmentedConv3D": ((4, 4, 4, 2), {"filters": 4, "kernel_size": 2}),
    "AugmentedDepthwiseConv1D": ((8, 3), {"kernel_size": 2}),
    "AugmentedDepthwiseConv2D": (
        (8, 8, 3),
        {"kernel_size": 2, "depth_multiplier": 2},
    ),
    "AugmentedDense": ((3,), {"units": 4}),
}


def model(name, regularizer):
    shape, options = BUILT[name]
    depthwise = "Depthwise" in name
    which = "depthwise_regularizer" if depthwise else "kernel_regularizer"
    made = getattr(layers, name)(
        **options, **{which: regularizer}, bias_initializer="ones", name="layer"
    )
    i = keras.Input(shape)
    return keras.Model(i, made(i))


@pytest.mark.parametrize("name", BUILT)
def test_the_bias_is_part_of_the_penalty_and_stays_so_when_saved(
    name, tmp_path
):
    axes = (-2, -1) if "Depthwise" in name else -1
    penalty = OrthoReg(1.0, filters=axes)
    net = model(name, penalty)
    layer = net.get_layer("layer")
    wanted = float(penalty(layer.kernel, layer.bias))
    assert wanted != pytest.approx(float(penalty(layer.kernel)))
    assert float(sum(net.losses)) == pytest.approx(wanted)
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    assert type(again.get_layer("layer")) is getattr(layers, name)
    assert float(sum(again.losses)) == pytest.approx(wanted)


@pytest.mark.parametrize("name", BUILT)
def test_it_computes_what_the_keras_layer_computes(name):
    stock = getattr(keras.layers, name.removeprefix("Augmented"))
    made = model(name, None)
    layer = made.get_layer("layer")
    plain = stock.from_config(layer.get_config())
    images = np.random.default_rng(0).normal(size=(2, *made.input_shape[1:]))
    plain.build(images.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(made(images), plain(images))
    assert layers.AUGMENTED[stock] is type(layer)


def test_another_regulariser_sees_the_kernel_alone():
    net = model("AugmentedConv2D", keras.regularizers.L2(1.0))
    kernel = net.get_layer("layer").kernel
    wanted = float(np.sum(np.square(kernel)))
    assert float(sum(net.losses)) == pytest.approx(wanted, rel=1e-5)
    assert model("AugmentedConv2D", None).losses == []
