import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RGELU, BatchNormalization, RReLU, RSiLU

KEEP = np.array([True, False, True, False])
GONE = ~KEEP


def build(*stack, taps=(), shape=(6, 6, 3)):
    """A chain of layers with random weights; `taps` become outputs, too."""
    generator = np.random.default_rng(0)
    i = keras.Input(shape)
    tensors = {}
    x = i
    for layer in stack:
        x = tensors[layer.name] = layer(x)
    model = keras.Model(i, [*(tensors[name] for name in taps), x])
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return model


def conv(name, filters=4, **options):
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


def norm(name, **options):
    return BatchNormalization(name=name, **options)


def relu(name):
    return layers.Activation("relu", name=name)


def value(model, name):
    probe = keras.Model(model.inputs, model.get_layer(name).output)
    x = np.random.default_rng(1).normal(size=(2, *model.input_shape[1:]))
    return np.asarray(probe([x]))


def changed(model, masked):
    """(layer, weight) names whose values differ, which all must be zeros."""
    found = set()
    for layer in model.layers:
        twin = masked.get_layer(layer.name)
        for a, b in zip(layer.weights, twin.weights, strict=True):
            a, b = a.numpy(), b.numpy()
            if not np.array_equal(a, b):
                assert np.array_equal(a[..., KEEP], b[..., KEEP])
                assert not b[..., GONE].any()
                found.add((layer.name, a.ndim and b.ndim and _name(layer, a)))
    return found


def _name(layer, values):
    return next(
        w.name for w in layer.weights if np.array_equal(w.numpy(), values)
    )


@pytest.mark.parametrize("kind", [RReLU, RGELU, RSiLU])
def test_a_slope_key_zeroes_the_slope_alone(kind):
    model = build(conv("a"), norm("bn"), kind(name="act"), conv("b"))
    masked = rrelu_tf.mask(model, {"act": KEEP})
    assert changed(model, masked) == {("act", "slope")}
    assert not value(masked, "act")[..., GONE].any()


def test_a_norm_key_zeroes_gamma_beta_and_the_mean():
    model = build(conv("a"), norm("bn"), relu("r"), conv("b"))
    masked = rrelu_tf.mask(model, {"bn": KEEP})
    assert changed(model, masked) == {
        ("bn", "gamma"),
        ("bn", "beta"),
        ("bn", "moving_mean"),
    }
    assert not value(masked, "bn")[..., GONE].any()


def test_a_norm_without_center_has_no_beta_to_zero():
    model = build(conv("a"), norm("bn", center=False), conv("b"))
    masked = rrelu_tf.mask(model, {"bn": KEEP})
    assert changed(model, masked) == {("bn", "gamma"), ("bn", "moving_mean")}
    assert not value(masked, "bn")[..., GONE].any()


NORM = {"gamma", "beta", "moving_mean"}


@pytest.mark.parametrize(
    ("between", "options", "zeroed"),
    [
        ([], {}, NORM),
        ([], {"scale": False}, NORM - {"gamma"}),
        ([], {"center": False}, NORM - {"beta"}),
        ([], {"scale": False, "center": False}, {"moving_mean"}),
        ([relu("r")], {}, NORM),  # ReLU before the norm
        ([layers.Dropout(0.5), RReLU(name="r")], {}, NORM),
        ([layers.Activation("sigmoid")], {}, NORM),
        ([layers.MaxPooling2D(2), layers.ZeroPadding2D(1)], {}, NORM),
    ],
)
def test_a_conv_key_goes_on_to_the_first_norm(between, options, zeroed):
    fresh = [type(x).from_config(x.get_config()) for x in between]
    model = build(
        conv("a"),
        *fresh,
        norm("bn", **options),
        relu("end"),
        norm("bn2"),
        conv("b"),
    )
    masked = rrelu_tf.mask(model, {"a": KEEP})
    expected = {("a", "kernel"), ("a", "bias")}
    assert changed(model, masked) == expected | {("bn", w) for w in zeroed}
    assert not value(masked, "a")[..., GONE].any()
    for name in ("bn", "end"):
        assert not value(masked, name)[..., GONE].any()
        assert value(masked, name)[..., KEEP].any()


def test_the_chain_ends_at_a_tensor_with_several_readers():
    i = keras.Input((6, 6, 3))
    x = conv("a")(i)
    y = norm("bn")(x)
    model = keras.Model(i, layers.Add()([x, y]))
    masked = rrelu_tf.mask(model, {"a": KEEP})
    assert changed(model, masked) == {("a", "kernel")}  # bias, beta are 0


def test_the_chain_ends_at_an_output_of_the_model():
    between = layers.ReLU(name="between")
    model = build(conv("a"), between, norm("bn"), conv("b"), taps=["between"])
    masked = rrelu_tf.mask(model, {"a": KEEP})
    assert changed(model, masked) == {("a", "kernel"), ("a", "bias")}


@pytest.mark.parametrize(
    "barrier",
    [
        lambda: conv("mixing"),
        lambda: layers.Dense(4, name="mixing"),
        lambda: layers.LayerNormalization(name="mixing"),
        lambda: layers.Softmax(name="mixing"),
    ],
)
def test_the_chain_ends_where_channels_mix(barrier):
    model = build(conv("a"), barrier(), norm("bn"), conv("b"))
    masked = rrelu_tf.mask(model, {"a": KEEP})
    assert changed(model, masked) == {("a", "kernel"), ("a", "bias")}


def test_a_norm_that_others_share_is_left_alone():
    i = keras.Input((6, 6, 3))
    both = norm("bn")
    x, y = both(conv("a")(i)), both(conv("b")(i))
    model = keras.Model(i, layers.Add()([x, y]))
    masked = rrelu_tf.mask(model, {"a": KEEP})
    assert changed(model, masked) == {("a", "kernel")}


def test_a_dense_key_zeroes_unit_bias_and_norm():
    model = build(
        layers.Dense(4, name="a"), norm("bn"), layers.Dense(2), shape=(5,)
    )
    masked = rrelu_tf.mask(model, {"a": KEEP})
    assert {layer for layer, _ in changed(model, masked)} == {"a", "bn"}
    assert not value(masked, "bn")[..., GONE].any()


def test_several_keys_at_once_and_none():
    model = build(conv("a"), RReLU(name="act"), conv("b"), relu("end"))
    masked = rrelu_tf.mask(model, {"act": KEEP, "b": KEEP})
    assert {x for x, _ in changed(model, masked)} == {"act", "b"}
    assert changed(model, rrelu_tf.mask(model, {})) == set()
    whole = {"act": np.ones(4, bool)}
    assert changed(model, rrelu_tf.mask(model, whole)) == set()


def test_the_source_is_left_as_it_is_and_nothing_is_shared():
    model = build(conv("a"), norm("bn"), RReLU(name="act"), conv("b"))
    before = model.get_weights()
    masked = rrelu_tf.mask(model, {"act": KEEP, "a": KEEP, "bn": KEEP})
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    ours = {id(v) for v in model.variables}
    assert not ours & {id(v) for v in masked.variables}
    assert [x.name for x in masked.layers] == [x.name for x in model.layers]


@pytest.mark.parametrize("order", ["relu first", "norm first"])
@pytest.mark.parametrize("scale", [True, False])
def test_masked_filters_are_what_strip_removes(order, scale):
    keras.config.set_dtype_policy("float64")
    middle = [relu("r"), norm("bn", scale=scale)]
    if order == "norm first":
        middle.reverse()
    model = build(conv("a"), *middle, conv("b", 2))
    masked = rrelu_tf.mask(model, {"a": KEEP})
    small = rrelu_tf.strip(masked)
    assert rrelu_tf.verify(masked, small).relative < 1e-12
    assert small.get_layer("a").filters == 2
    assert small.get_layer("bn").moving_mean.shape == (2,)
    assert small.get_layer("b").kernel.shape == (3, 3, 2, 2)


def test_sequential_models_are_masked():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="a"), layers.Dense(2)]
    )
    masked = rrelu_tf.mask(model, {"a": KEEP})
    assert not masked.get_layer("a").kernel.numpy()[:, GONE].any()


def test_a_masked_stripped_model_knows_what_it_kept():
    model = build(conv("a"), RReLU(name="act"), conv("b"))
    model.get_layer("act").slope.assign([1, 1, 0, 1])
    small = rrelu_tf.strip(model)
    keep = {"act": np.array([True, False, True])}
    masked = rrelu_tf.mask(small, keep)
    assert rrelu_tf.kept(masked)["act"].tolist() == [0, 1, 3]
    twice = rrelu_tf.strip(masked)
    assert rrelu_tf.kept(twice)["act"].tolist() == [0, 3]
    assert rrelu_tf.kept(twice)["a"].tolist() == [0, 3]


@pytest.mark.parametrize(
    ("keep", "received"),
    [
        ({"nowhere": KEEP}, "key=nowhere"),
        ({"act": KEEP[:3]}, "act=bool array of shape (3,)"),
        ({"act": KEEP.astype(int)}, "act=int64 array of shape (4,)"),
        ({"act": KEEP.astype(float)}, "act=float64 array of shape (4,)"),
        ({"act": KEEP[None]}, "act=bool array of shape (1, 4)"),
        ({"act": True}, "act=bool array of shape ()"),
        ({"plain": KEEP}, "plain=Activation"),
        ({"pool": KEEP}, "pool=MaxPooling2D"),
        ({"still": KEEP}, "key=still"),
    ],
)
def test_bad_masks_are_refused_in_one_line(keep, received):
    model = build(
        conv("a"),
        RReLU(name="act"),
        relu("plain"),
        layers.MaxPooling2D(name="pool"),
        norm("still", scale=False),
        conv("b"),
    )
    with pytest.raises(UserError) as caught:
        rrelu_tf.mask(model, keep)
    assert str(caught.value).endswith(f"Received: {received}")
    assert "\n" not in str(caught.value)


def nested(shape=(6, 6, 3)):
    """A Sequential in a functional model in a functional model."""
    box = keras.Sequential(
        [keras.Input((6, 6, 4)), conv("c"), norm("n"), RReLU(name="r")],
        name="box",
    )
    i = keras.Input((6, 6, 4))
    outer = keras.Model(i, conv("b")(box(conv("a")(i))), name="outer")
    i = keras.Input(shape)
    return keras.Model(i, conv("last")(outer(conv("first")(i))))


def test_layers_inside_nested_models_have_keys_of_their_own():
    model = nested()
    generator = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(generator.uniform(0.5, 1, variable.shape))
    assert list(rrelu_tf.score(model, "slope")) == ["outer/box/r"]
    masked = rrelu_tf.mask(model, {"outer/box/c": KEEP, "outer/a": KEEP})
    inner = masked.get_layer("outer").get_layer("box")
    for layer, name in (("c", "kernel"), ("n", "gamma"), ("n", "beta")):
        values = np.asarray(getattr(inner.get_layer(layer), name))
        assert not values[..., GONE].any()
        assert values[..., ~np.array(GONE)].all()
    small = rrelu_tf.strip(masked)
    rrelu_tf.verify(masked, small)
    kept = rrelu_tf.kept(small)
    for key in ("outer/a", "outer/box/c", "outer/box/n", "outer/box/r"):
        assert np.array_equal(kept[key], np.flatnonzero(KEEP))
    assert list(rrelu_tf.score(small, "slope")) == ["outer/box/r"]
    with pytest.raises(UserError, match="Received: key=box/c$"):
        rrelu_tf.mask(model, {"box/c": KEEP})


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        (layers.SeparableConv2D(4, 3, name="a"), 4),
        (layers.Conv2DTranspose(4, 3, name="a"), 4),
        (layers.DepthwiseConv2D(3, depth_multiplier=2, name="a"), 6),
        (layers.Conv2D(4, 3, groups=1, name="a"), 4),
    ],
)
def test_every_kind_of_convolution_is_masked_to_zero(layer, channels):
    i = keras.Input((6, 6, 3))
    model = keras.Model(i, layers.Identity()(layer(i)))
    layer.bias.assign(np.arange(1, 1 + channels))
    keep = np.arange(channels) % 2 == 0
    masked = rrelu_tf.mask(model, {"a": keep})
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
    before, after = (np.asarray(m(images)) for m in (model, masked))
    assert not after[..., ~keep].any()
    assert np.array_equal(after[..., keep], before[..., keep])


def test_a_norm_along_another_axis_is_left_alone():
    model = build(layers.Dense(4, name="a"), norm("bn", axis=1), shape=(4, 5))
    masked = rrelu_tf.mask(model, {"a": KEEP})
    assert {layer for layer, _ in changed(model, masked)} == {"a"}


@keras.saving.register_keras_serializable("test_masking")
class Subclassed(keras.Model):
    """A nested model without a graph."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


def test_a_nested_model_without_a_graph_keeps_its_weights():
    i = keras.Input((5,))
    x = Subclassed(name="sub")(layers.Dense(4, name="a")(i))
    model = keras.Model(i, layers.Dense(2)(x))
    masked = rrelu_tf.mask(model, {"a": np.ones(4, bool)})
    inputs = np.random.default_rng(0).normal(size=(3, 5))
    assert np.array_equal(model(inputs), masked(inputs))
    assert rrelu_tf.profile(model).params == model.count_params()


def test_an_einsum_is_masked_along_its_last_axis():
    image = keras.Input((3, 4))
    x = layers.EinsumDense(
        "abc,dc->abd", (3, 5), bias_axes="bd", activation="relu", name="einsum"
    )(image)
    model = keras.Model(image, layers.Dense(2)(x))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    keep = np.array([True, False, True, False, True])
    masked = rrelu_tf.mask(model, {"einsum": keep})
    layer = masked.get_layer("einsum")
    kernel, bias = (np.asarray(weight) for weight in layer.weights)
    assert (kernel[~keep] == 0).all() and (kernel[keep] != 0).all()
    assert (bias[:, ~keep] == 0).all() and (bias[:, keep] != 0).all()
    small = rrelu_tf.strip(masked)
    rrelu_tf.verify(masked, small)
    assert small.get_layer("einsum").kernel.shape == (3, 4)


def test_an_einsum_that_makes_several_axes_is_not_masked():
    image = keras.Input((3, 4))
    x = layers.EinsumDense("abc,cde->abde", (3, 2, 5), name="heads")(image)
    model = keras.Model(image, x)
    with pytest.raises(UserError, match="Received: heads=EinsumDense$"):
        rrelu_tf.mask(model, {"heads": np.ones(5, bool)})


@pytest.mark.parametrize("keep", [None, [True]])
def test_what_is_no_dict_of_masks_is_refused(keep):
    with pytest.raises(UserError, match=r"Received: keep=(NoneType|list)$"):
        rrelu_tf.mask(keras.Sequential([keras.Input((2,))]), keep)


def test_layers_that_make_an_output_are_not_selected_from():
    i = keras.Input((4,))
    x = layers.Dense(4, name="inner")(i)
    inner = keras.Model(i, [x, layers.Dense(4, name="last")(x)], name="box")
    x, y = inner(i)
    z = layers.Dense(4, name="logits")(layers.Dense(4, name="free")(x))
    z = layers.Activation("softmax")(z)
    model = keras.Model(i, [y, z, layers.Softmax()(layers.ReLU(name="r")(x))])
    for key in ("box/last", "logits"):
        rrelu_tf.strip(rrelu_tf.mask(model, {key: KEEP}))  # zeros, as asked
        with pytest.raises(UserError, match=f"Received: key={key}$"):
            scores = {"free": np.ones(4), key: np.ones(4)}
            rrelu_tf.select(scores, model=model, threshold=0.5)
    keep = {"box/inner": KEEP, "free": KEEP}
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    assert small.get_layer("free").units == KEEP.sum()


def own_loss(y, x):
    return keras.ops.mean(x - y)


@pytest.mark.parametrize("nested", [False, True])
def test_a_model_compiled_with_a_loss_of_ones_own_is_masked(nested):
    model = build(conv("a"), relu("act"), layers.Flatten(name="flat"))
    inner = model
    if nested:
        i = keras.Input((6, 6, 3))
        model = keras.Model(i, layers.Dense(2)(*model(i)))
    for each in {model, inner}:
        each.compile("sgd", loss=own_loss)
    key = f"{inner.name}/a" if nested else "a"
    masked = rrelu_tf.mask(model, {key: KEEP})
    assert not masked.compiled
    assert model.compiled and inner.compiled
    x = np.ones((2, 6, 6, 3), "float32")
    model.evaluate(x, np.ones((2, 144 if model is inner else 2)), verbose=0)


def test_a_masked_model_is_compiled_as_its_source():
    model = build(conv("a"), relu("act"), layers.Flatten(name="flat"))
    model.compile("sgd", loss="mse", metrics=["mae"])
    masked = rrelu_tf.mask(model, {"a": np.array([True] * 4)})
    x, y = np.ones((2, 6, 6, 3), "float32"), np.ones((2, 144))
    expected = model.evaluate(x, y, verbose=0)
    assert masked.evaluate(x, y, verbose=0) == pytest.approx(expected)
