"""orthogonalize: the same function, with OrthoReg on every layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import rrelu_tf
from rrelu_tf import filters, gram
from rrelu_tf.errors import UserError
from rrelu_tf.layers import (
    AUGMENTED,
    AugmentedConv2D,
    Conv2D,
    DepthwiseConv2D,
)
from rrelu_tf.orthogonalization import is_orthogonalized
from rrelu_tf.regularizers import OrthoReg


@pytest.fixture
def net():
    """A layer of each kind, a nested model, one layer called twice."""
    i = keras.Input((8, 8, 4), name="images")
    conv = layers.Conv2D(4, 3, padding="same", name="twice")
    x = layers.BatchNormalization(name="norm")(conv(conv(i)))
    x = layers.Conv2D(8, 3, groups=2, name="grouped")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", name="separable")(x)
    x = layers.Conv2DTranspose(5, 3, name="transposed")(x)
    inner = keras.Sequential(
        [keras.Input((6, 6, 5)), layers.Conv2D(3, 1, name="conv")], name="inner"
    )
    x = layers.GlobalAveragePooling2D(name="pool")(inner(x))
    return keras.Model(i, layers.Dense(2, name="head")(x), name="net")


# Layer and kernel -> filters and the shape of its matrix (fan-in, filters).
SIZES = {
    "twice": (36, 4),
    "grouped": (18, 8),
    "depthwise": (9, 16),
    "separable/depthwise_kernel": (9, 16),
    "separable/pointwise_kernel": (16, 6),
    "transposed": (54, 5),
    "inner/conv": (5, 3),
    "head": (3, 2),
}


def test_layers_that_compute_with_another_kernel_are_left_alone():
    i = keras.Input((2, 8, 8, 3))
    x = layers.TimeDistributed(layers.Conv2D(4, 3), name="wrapped")(i)
    x = layers.Conv2D(4, 3, name="plain")(layers.Reshape((12, 6, 4))(x))
    x = layers.Conv2D(4, 3, name="lora")(x)
    net = keras.Model(i, layers.Dense(4, name="quantized")(x))
    net.get_layer("lora").enable_lora(2)
    net.get_layer("quantized").quantize("int8")
    assert [f.key for f in filters.of(net, dense=True)] == ["plain"]


def total(model):
    return float(sum(model.losses))


def penalties(model):
    return {
        f.key: getattr(f.layer, f.regularizer)
        for f in filters.of(model, dense=True)
    }


def outputs(model):
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 4))
    return np.asarray(model(images.astype("float32"), training=False))


def test_each_kernel_is_a_matrix_of_its_filters(net):
    found = filters.of(net, dense=True)
    shapes = {f.key: gram.matrix(f.variable, f.axes).shape for f in found}
    assert shapes == SIZES
    for f in found:
        assert (f.fan_in, f.count) == SIZES[f.key]
    assert list(shapes) == list(SIZES)  # forward order


@pytest.mark.parametrize("dense", [False, True])
def test_weights_are_roots_of_the_filters_and_sum_to_one(net, dense):
    made = rrelu_tf.orthogonalize(net, 0.3, dense=dense)
    found = penalties(made)
    chosen = {k: n for k, (_, n) in SIZES.items() if dense or k != "head"}
    roots = {key: count**0.5 for key, count in chosen.items()}
    for key, root in roots.items():
        assert found[key].factor == 0.3
        assert found[key].weight == pytest.approx(root / sum(roots.values()))
    assert (found["head"] is not None) == dense


def test_the_loss_is_the_weighted_sum_over_the_layers(net):
    made = rrelu_tf.orthogonalize(net, 0.3)
    wanted = 0.0
    roots = sum(SIZES[key][1] ** 0.5 for key in SIZES if key != "head")
    for f in filters.of(net):
        matrix = np.asarray(gram.matrix(f.variable, f.axes))
        small = min(matrix @ matrix.T, matrix.T @ matrix, key=np.size)
        distance = np.abs(small - np.eye(len(small))).sum()
        wanted += 0.3 * f.count**0.5 / roots * distance
    assert total(made) == pytest.approx(wanted, rel=1e-5)


def test_the_function_stays_and_the_source_is_left_as_it_is(net):
    made = rrelu_tf.orthogonalize(net, bias=True, dense=True)
    np.testing.assert_array_equal(outputs(net), outputs(made))
    assert [x.name for x in made.layers] == [x.name for x in net.layers]
    for variable in made.variables:
        variable.assign(variable + 1)
    assert net.losses == [] and not is_orthogonalized(net)
    assert is_orthogonalized(made)
    assert not np.array_equal(outputs(net), outputs(made))


def test_factor_none_is_one_hundredth(net):
    wanted = total(rrelu_tf.orthogonalize(net, 1e-2))
    assert total(rrelu_tf.orthogonalize(net)) == wanted


@pytest.mark.parametrize("norm", ["frobenius", "spectral"])
def test_the_norm_is_that_of_every_layer(net, norm):
    made = rrelu_tf.orthogonalize(net, norm=norm)
    norms = [p.norm for k, p in penalties(made).items() if k != "head"]
    assert set(norms) == {norm}
    assert total(made) != total(rrelu_tf.orthogonalize(net))


def test_the_bias_is_seen_where_a_layer_can_show_it(net):
    made = rrelu_tf.orthogonalize(net, bias=True)
    kinds = {x.name: type(x) for x in made.layers}
    assert kinds["twice"] is kinds["grouped"] is AugmentedConv2D
    assert kinds["depthwise"] is AUGMENTED[layers.DepthwiseConv2D]
    assert kinds["transposed"] is layers.Conv2DTranspose
    assert kinds["head"] is layers.Dense
    before = total(made)
    made.get_layer("twice").bias.assign([2.0, 0, 0, 0])
    assert total(made) != pytest.approx(before)


def test_again_replaces_and_zero_takes_off(net):
    first = rrelu_tf.orthogonalize(net, 0.5, bias=True, dense=True)
    again = rrelu_tf.orthogonalize(first, 0.1)
    assert total(again) == total(rrelu_tf.orthogonalize(net, 0.1))
    assert type(again.get_layer("twice")) is layers.Conv2D
    off = rrelu_tf.orthogonalize(first, 0)
    assert off.losses == [] and not is_orthogonalized(off)


def test_a_regulariser_that_was_there_stays_beside_it():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, kernel_regularizer="l2", name="conv")(i)
    net = keras.Model(i, x)
    made = rrelu_tf.orthogonalize(rrelu_tf.orthogonalize(net))
    kernel = made.get_layer("conv").kernel
    alone = float(OrthoReg(1e-2)(kernel))
    assert total(made) == pytest.approx(alone + total(net), rel=1e-5)
    assert total(rrelu_tf.orthogonalize(made, 0)) == total(net)


def test_it_is_saved_with_the_model(net, tmp_path):
    made = rrelu_tf.orthogonalize(net, bias=True)
    made.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    assert total(again) == pytest.approx(total(made), rel=1e-6)
    np.testing.assert_array_equal(outputs(made), outputs(again))


@pytest.mark.parametrize("bias", [False, True])
def test_strip_keeps_the_penalties_of_the_narrower_layers(bias):
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, name="one")(i)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(4, 3, name="two")(x)
    net = rrelu_tf.orthogonalize(keras.Model(i, x), bias=bias)
    masked = rrelu_tf.mask(net, {"one": np.arange(8) < 5})
    small = rrelu_tf.strip(masked)
    rrelu_tf.verify(masked, small)
    wide, narrow = net.get_layer("one"), small.get_layer("one")
    assert narrow.filters == 5 and type(narrow) is type(wide)
    before, after = (x.kernel_regularizer for x in (wide, narrow))
    assert after.get_config() == before.get_config()
    shown = narrow.bias if bias else None
    alone = sum(
        float(x.kernel_regularizer(x.kernel, x.bias if bias else None))
        for x in (narrow, small.get_layer("two"))
    )
    assert float(after(narrow.kernel, shown)) > 0
    assert total(small) == pytest.approx(alone, rel=1e-5)


def test_it_remembers_what_strip_kept():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, name="one")(i)
    net = keras.Model(i, layers.Conv2D(4, 3, name="two")(x))
    small = rrelu_tf.strip(rrelu_tf.mask(net, {"one": np.arange(8) % 2 > 0}))
    again = rrelu_tf.orthogonalize(small)
    assert rrelu_tf.kept(again)["one"].tolist() == [1, 3, 5, 7]


def test_without_penalties_every_layer_is_of_its_own_kind_again(net):
    image = keras.Input((8, 8, 3))
    ours = keras.Model(image, DepthwiseConv2D(3)(Conv2D(4, 3)(image)))
    for model in (net, ours):
        seen = rrelu_tf.orthogonalize(model, bias=True, dense=True)
        assert sum(type(x) in AUGMENTED.values() for x in seen.layers) > 1
        plain = rrelu_tf.orthogonalize(seen, 0)
        assert [*map(type, plain.layers)] == [*map(type, model.layers)]


def test_a_seen_bias_changes_nothing_else_in_training(net):
    made = rrelu_tf.orthogonalize(net, bias=True)
    fused = {x.name: getattr(x, "fused", None) for x in made.layers}
    assert fused["twice"] is fused["depthwise"] is False


def test_fold_is_of_stock_layers_without_penalties():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, name="one")(i)
    x = layers.BatchNormalization(name="norm")(x)
    net = rrelu_tf.orthogonalize(keras.Model(i, x), bias=True)
    folded = rrelu_tf.fold(net)
    assert type(folded.get_layer("one")) is layers.Conv2D
    assert folded.losses == []
    rrelu_tf.verify(net, folded, tolerance=1e-5)


def test_rotate_takes_activations_out_of_augmented_layers():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="one")(i)
    net = rrelu_tf.orthogonalize(keras.Model(i, x), bias=True)
    rotated = rrelu_tf.rotate(net)
    assert "one_rotated" in [x.name for x in rotated.layers]
    assert total(rotated) == pytest.approx(total(net))


@pytest.mark.parametrize(
    "policy", ["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"]
)
def test_any_precision_trains_towards_orthonormality(policy):
    keras.config.set_dtype_policy(policy)
    i = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 3, name="conv")(i)
    x = layers.GlobalAveragePooling2D()(x)
    net = rrelu_tf.orthogonalize(keras.Model(i, x), 1.0)
    assert net.get_layer("conv").dtype_policy.name == policy
    net.compile(keras.optimizers.SGD(0.01), "mse")
    before = total(net)
    images = np.zeros((8, 4, 4, 3), "float32")
    net.fit(images, np.zeros((8, 4), "float32"), verbose=0, epochs=5)
    assert total(net) < 0.9 * before


def test_gradients_reach_kernel_and_bias_of_a_model(net):
    made = rrelu_tf.orthogonalize(net, bias=True)
    layer = made.get_layer("grouped")
    with tf.GradientTape() as tape:
        value = sum(made.losses)
    weights = [layer.kernel.value, layer.bias.value]
    kernel, bias = tape.gradient(value, weights)
    assert np.abs(kernel).max() > 0 and bias.shape == (8,)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"factor": -1.0}, "factor=-1.0"),
        ({"factor": float("inf")}, "factor=inf"),
        ({"norm": "nuclear"}, "norm=nuclear"),
        ({"protocol": "paper"}, "protocol=paper"),
        ({"protocol": "seed"}, "model=net"),
        ({"protocol": "seed", "bias": True}, "bias=True"),
        ({"protocol": "seed", "norm": "spectral"}, "norm=spectral"),
    ],
)
def test_an_impossible_choice_is_one_line(net, options, received):
    with pytest.raises(UserError, match=f"Received: {received}$") as error:
        rrelu_tf.orthogonalize(net, **options)
    assert "\n" not in str(error.value)


def test_a_model_without_kernels_is_refused():
    i = keras.Input((4,))
    net = keras.Model(i, layers.Dense(2)(i), name="mlp")
    with pytest.raises(UserError, match="dense=True.*Received: model=mlp$"):
        rrelu_tf.orthogonalize(net)
    assert total(rrelu_tf.orthogonalize(net, dense=True)) > 0
    with pytest.raises(UserError, match="dense=True.*Received: model=mlp$"):
        rrelu_tf.analysis.orthogonality(net)
    assert rrelu_tf.orthogonalize(net, 0).losses == []
