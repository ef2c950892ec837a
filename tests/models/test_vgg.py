"""VGGs: the authors' numbers, sizes, wiring, what strip takes."""

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated


def build(name="vgg13", **options):
    options = {"num_classes": 3, "input_shape": (32, 32, 3), **options}
    return models.create(name, **options)


def unallocated(name="vgg13", **options):
    """The model without the memory of its weights."""
    with keras.StatelessScope(initialize_variables=False):
        return build(name, **options)


@pytest.fixture
def npz(shared):
    return shared / "fixtures" / "orthoreg" / "vgg13.npz"


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-4)]
)
def test_logits_equal_the_authors(npz, dtype, tolerance):
    arrays = np.load(npz)
    keras.config.set_dtype_policy(dtype)
    model = models.load_seed_weights(build(num_classes=100), npz)
    pixels = arrays["images_u8"].astype("float32") / 255
    x = ((pixels - 0.5) / 0.5).astype(dtype)
    truth = arrays["exp/logits"]
    error = np.abs(model(x, training=False) - truth).max()
    assert error < tolerance * np.abs(truth).max()


# Of VGG-16 and 19: the facts' VGG-13 and its further convs, with norms.
@pytest.mark.parametrize(
    ("name", "parameters", "statistics", "macs"),
    [
        ("vgg13", 9_462_180, 5_888, 228_313_088),
        ("vgg16", 14_774_436, 8_448, 313_247_744),
        ("vgg19", 20_086_692, 11_008, 398_182_400),
    ],
)
@pytest.mark.parametrize("bn_first", [False, True])
def test_sizes_are_the_authors_to_the_unit(
    name, parameters, statistics, macs, bn_first
):
    model = unallocated(name, num_classes=100, bn_first=bn_first)
    profile = rrelu_tf.profile(model)
    assert profile.trainable_params == parameters
    assert profile.params - profile.trainable_params == statistics
    assert profile.macs == macs


@pytest.mark.parametrize(
    ("bn_first", "kinds"),
    [
        (False, ["Conv2D", "RReLU", "BatchNormalization"]),
        (True, ["Conv2D", "BatchNormalization", "RReLU"]),
        (1, ["Conv2D", "BatchNormalization", "RReLU"]),
    ],
)
def test_norms_lie_behind_the_activations_unless_asked_for(bn_first, kinds):
    model = unallocated(activation="rrelu", bn_first=bn_first)
    features = [x for x in model.layers if x.name.startswith("features")]
    assert [x.name for x in features] == [f"features_{i}" for i in range(35)]
    pooled = [*kinds, *kinds, "MaxPooling2D"]
    assert [type(x).__name__ for x in features] == pooled * 5
    convs = [x for x in features if isinstance(x, keras.layers.Conv2D)]
    assert {(x.kernel_size, x.padding, x.use_bias) for x in convs} == {
        ((3, 3), "same", True)
    }


@pytest.mark.parametrize(
    ("sides", "pixels"), [((32, 32), 1), ((63, 40), 1), ((64, 97), 6)]
)
def test_larger_images_have_weights_for_every_pixel_left(sides, pixels):
    model = unallocated(input_shape=(*sides, 1))
    assert model.get_layer("classifier").kernel.shape == (512 * pixels, 3)


def test_the_linear_layer_reads_a_larger_map_in_pytorchs_order():
    model = build(input_shape=(64, 32, 3))
    pool, flat = (
        model.get_layer(name).output for name in ("features_34", "flatten")
    )
    x = np.random.default_rng(0).normal(size=(2, 64, 32, 3))
    images = x.astype("float32")
    before, after = map(np.asarray, keras.Model(model.input, [pool, flat])(x))
    assert before.shape == (2, 2, 1, 512)
    expected = before.transpose(0, 3, 1, 2).reshape(2, -1)
    assert np.array_equal(after, expected)
    assert np.ptp(model(images), axis=0).min() > 0


def test_weights_begin_as_pytorchs():
    model = build(num_classes=500)
    for name, fan_in in (
        ("features_0", 27),
        ("features_14", 9 * 128),
        ("classifier", 512),
    ):
        layer, bound = model.get_layer(name), fan_in**-0.5
        for variable in (layer.kernel, layer.bias):
            values = variable.numpy()
            assert np.abs(values).max() <= bound * (1 + 1e-6)
            assert np.abs(values).max() > 0.9 * bound
        # Of uniform numbers.
        deviation = layer.kernel.numpy().std()
        assert deviation == pytest.approx(bound / 3**0.5, rel=0.05)


def randomise(model):
    """Weights and statistics none of which is special."""
    generator = np.random.default_rng(7)
    for layer in model.layers:
        for variable in layer.weights:
            values = generator.uniform(0.4, 1.1, variable.shape)
            if "variance" not in variable.name:
                values *= generator.choice((-1.0, 1.0), variable.shape)
            if variable.name == "kernel":
                values /= np.sqrt(np.prod(variable.shape[:-1]))
            variable.assign(values)
    return model


@pytest.fixture(params=[False, True], ids=["relu_first", "bn_first"])
def bn_first(request):
    """Both orders."""
    return request.param


def filters(model):
    return {
        x.name: x.filters
        for x in model.layers
        if isinstance(x, keras.layers.Conv2D)
    }


def test_dead_slopes_leave_an_equal_smaller_net(bn_first):
    keras.config.set_dtype_policy("float64")
    model = randomise(build(activation="rrelu", bn_first=bn_first))
    generator = np.random.default_rng(1)
    alive = []
    for layer in model.layers:
        if isinstance(layer, Rotated):
            stays = generator.random(layer.slope.shape) >= 0.5
            layer.slope.assign(layer.slope.numpy() * stays)
            alive.append(stays.sum())
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small, samples=2).relative < 1e-12
    assert list(filters(small).values()) == alive
    # Behind the norm a dead slope is 0 for the next layer; before it, the norm
    # makes a constant of it, which the next layer still reads.
    readers = [*list(filters(small))[1:], "classifier"]
    inputs = [small.get_layer(name).kernel.shape[-2] for name in readers]
    assert inputs == (alive if bn_first else list(filters(model).values()))


def test_masked_filters_leave_an_equal_smaller_net(bn_first):
    keras.config.set_dtype_policy("float64")
    # A last map of 2 x 1 pixels: two places of the linear layer a channel.
    model = randomise(build(bn_first=bn_first, input_shape=(64, 32, 3)))
    generator = np.random.default_rng(2)
    keep = {
        name: generator.random(width) >= 0.5
        for name, width in filters(model).items()
    }
    masked = rrelu_tf.mask(model, keep)
    small = rrelu_tf.strip(masked)
    assert rrelu_tf.verify(masked, small, samples=1).relative < 1e-12
    kept = {name: stays.sum() for name, stays in keep.items()}
    assert filters(small) == kept
    head = small.get_layer("classifier").kernel
    assert head.shape == (2 * kept["features_31"], 3)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"input_shape": (31, 32, 3)}, "input_shape=(31, 32, 3)"),
        ({"input_shape": (64, 8, 3)}, "input_shape=(64, 8, 3)"),
        ({"bn_first": 2}, "bn_first=2"),
        ({"bn_first": "yes"}, "bn_first=yes"),
        ({"bn_first": None}, "bn_first=None"),
        ({"name": "resnet8", "bn_first": True}, "bn_first=True"),
        ({"name": "vgg11"}, "name=vgg11"),
        ({"name": "vgg"}, "name=vgg"),
        ({"activation": "elu"}, "activation=elu"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(options, received):
    with pytest.raises(UserError) as caught:
        unallocated(**options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: {received}")
