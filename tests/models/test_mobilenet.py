"""MobileNet-V1: the authors' form, sizes, what strip takes."""

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.models import seed_weights, torch_checkpoint

NAME = "mobilenet_v1"
# Filters and strides of the 13 blocks, as the facts list them.
BLOCKS = [
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *[(512, 1)] * 5,
    *((1024, 2), (1024, 1)),
]


def build(**options):
    options = {"num_classes": 3, "input_shape": (12, 9, 3), **options}
    return models.create(NAME, **options)


def unallocated(**options):
    """The model without the memory of its weights."""
    with keras.StatelessScope(initialize_variables=False):
        return build(**options)


def tensors(torch):
    """Weights under the names of the OrthoReg authors' code, 5 classes."""
    generator = torch.Generator().manual_seed(3)
    made = {}

    def uniform(*shape, low=-1.0, high=1.0):
        x = torch.rand(shape, generator=generator, dtype=torch.float64)
        return low + (high - low) * x

    def norm(name, channels):
        made[f"{name}.weight"] = uniform(channels, low=0.5)
        made[f"{name}.bias"] = uniform(channels)
        made[f"{name}.running_mean"] = uniform(channels)
        made[f"{name}.running_var"] = uniform(channels, low=0.5, high=1.5)
        made[f"{name}.num_batches_tracked"] = torch.tensor(9)

    made["conv1.weight"] = uniform(32, 3, 3, 3)
    norm("bn1", 32)
    before = 32
    for place, (filters, _) in enumerate(BLOCKS):
        block = f"layers.{place}"
        made[f"{block}.conv1.weight"] = uniform(before, 1, 3, 3)
        norm(f"{block}.bn1", before)
        kernel = uniform(filters, before, 1, 1) * (3 / before) ** 0.5
        made[f"{block}.conv2.weight"] = kernel
        norm(f"{block}.bn2", filters)
        before = filters
    made["linear.weight"] = uniform(5, before)
    made["linear.bias"] = uniform(5)
    return made


def logits(torch, weights, x):
    """What PyTorch computes of `tensors`."""
    functional = torch.nn.functional

    def norm(x, name):
        kinds = ("running_mean", "running_var", "weight", "bias")
        x = functional.batch_norm(x, *(weights[f"{name}.{k}"] for k in kinds))
        return torch.relu(x)

    x = norm(functional.conv2d(x, weights["conv1.weight"], padding=1), "bn1")
    for place, (_, stride) in enumerate(BLOCKS):
        block = f"layers.{place}"
        depthwise, pointwise = (
            weights[f"{block}.{name}.weight"] for name in ("conv1", "conv2")
        )
        x = functional.conv2d(
            x, depthwise, stride=stride, padding=1, groups=len(depthwise)
        )
        x = functional.conv2d(norm(x, f"{block}.bn1"), pointwise)
        x = norm(x, f"{block}.bn2")
    return functional.linear(
        x.mean((2, 3)), weights["linear.weight"], weights["linear.bias"]
    )


def test_the_authors_net_computes_the_same(torch, tmp_path):
    keras.config.set_dtype_policy("float64")
    weights = tensors(torch)
    x = torch.randn(2, 3, 33, 18, dtype=torch.float64)
    truth = logits(torch, weights, x).numpy()
    images = x.permute(0, 2, 3, 1).numpy()
    shape = {"num_classes": 5, "input_shape": (33, 18, 3)}

    checkpoint = tmp_path / "net.pth"
    torch.save(
        {"net": {f"module.{k}": v for k, v in weights.items()}}, checkpoint
    )
    arrays = torch_checkpoint.read(checkpoint)
    model = torch_checkpoint.load(build(**shape), arrays, checkpoint)
    error = np.abs(np.asarray(model(images, training=False)) - truth).max()
    assert error < 1e-12 * np.abs(truth).max()
    assert np.ptp(truth, axis=0).min() > 1e-5  # images make a difference

    npz = tmp_path / "net.npz"
    with npz.open("wb") as file:
        seed_weights.save_seed_weights(model, file)
    written = np.load(npz)
    assert written.keys() == {f"w/{name}" for name in arrays}
    for name, array in arrays.items():
        assert np.array_equal(written[f"w/{name}"], array), name
    again = models.load_seed_weights(build(**shape), npz)
    for a, b in zip(model.weights, again.weights, strict=True):
        assert np.array_equal(a, b), a.path


def test_sizes_are_the_authors_to_the_unit():
    model = unallocated(num_classes=100, input_shape=(32, 32, 3))
    profile = rrelu_tf.profile(model)
    assert profile.trainable_params == 3_309_476
    assert profile.params - profile.trainable_params == 21_888
    assert profile.macs == 46_446_592
    assert len(model.trainable_weights) == 83


def test_every_activation_is_rotated():
    model = unallocated(activation="rgelu")
    slopes = [x.slope for x in model.layers if isinstance(x, Rotated)]
    assert len(slopes) == 27
    assert sum(slope.shape[0] for slope in slopes) == 10_944
    kinds = [type(layer) for layer in model.layers]
    assert keras.layers.Activation not in kinds


def test_weights_begin_as_pytorchs():
    model = build(num_classes=500)
    for name, fan_in in (
        ("conv1", 27),
        ("layers_4_conv1", 9),  # depthwise: of one channel
        ("layers_4_conv2", 256),
        ("linear", 1024),
    ):
        bound = fan_in**-0.5
        for variable in model.get_layer(name).weights:
            values = variable.numpy()
            assert np.abs(values).max() <= bound * (1 + 1e-6)
            assert np.abs(values).max() > 0.95 * bound
            deviation = values.std()
            assert deviation == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("sides", "last"),
    [((9, 9), (1, 1)), ((32, 40), (2, 3)), ((33, 64), (3, 4))],
)
def test_images_of_any_size_end_in_one_average(sides, last):
    model = unallocated(input_shape=(*sides, 1))
    assert model.get_layer("pool").input.shape[1:3] == last
    assert model.get_layer("linear").kernel.shape == (1024, 3)


def randomise(model):
    """Weights and statistics none of which is special."""
    generator = np.random.default_rng(7)
    for layer in model.layers:
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        for variable in layer.weights:
            values = generator.uniform(0.4, 1.1, variable.shape)
            if "variance" not in variable.name:
                values *= generator.choice((-1.0, 1.0), variable.shape)
            if variable.name == "kernel":
                fan_in = variable.shape[: 2 if depthwise else -1]
                values /= np.sqrt(np.prod(fan_in))
            variable.assign(values)
    return model


def widths(model):
    return {x.name: x.output.shape[-1] for x in model.layers}


def test_dead_slopes_leave_an_equal_smaller_net():
    keras.config.set_dtype_policy("float64")
    model = randomise(build(activation="rrelu"))
    generator = np.random.default_rng(1)
    alive = {}
    for layer in model.layers:
        if isinstance(layer, Rotated):
            stays = generator.random(layer.slope.shape) >= 0.5
            layer.slope.assign(layer.slope.numpy() * stays)
            alive[layer.name] = stays.sum()
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small, samples=2).relative < 1e-12
    after = widths(small)
    for place in range(13):
        block = f"layers_{place}"
        # Dead behind the depthwise conv: gone from the conv before it on.
        behind = alive[f"{block}_rrelu1"]
        before = "conv1" if place == 0 else f"layers_{place - 1}_conv2"
        assert after[f"{block}_conv1"] == after[f"{block}_rrelu1"] <= behind
        assert after[before] <= after[f"{block}_conv1"]
    assert small.count_params() < 0.3 * model.count_params()


def test_masked_filters_leave_an_equal_smaller_net():
    keras.config.set_dtype_policy("float64")
    model = randomise(build())
    generator = np.random.default_rng(2)
    before = widths(model)
    keep = {
        name: generator.random(width) >= 0.5
        for name, width in before.items()
        if name.endswith(("conv1", "conv2"))
    }
    masked = rrelu_tf.mask(model, keep)
    small = rrelu_tf.strip(masked)
    assert rrelu_tf.verify(masked, small, samples=2).relative < 1e-12
    after = widths(small)
    for place in range(13):
        depthwise = f"layers_{place}_conv1"
        previous = "conv1" if place == 0 else f"layers_{place - 1}_conv2"
        assert 0 < after[depthwise] <= keep[depthwise].sum()
        # Gone where either is masked: the one feeds and reads the other alone.
        both = (keep[depthwise] & keep[previous]).sum()
        assert after[previous] == both


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"input_shape": (8, 32, 3)}, "input_shape=(8, 32, 3)"),
        ({"input_shape": (9, 1, 3)}, "input_shape=(9, 1, 3)"),
        ({"width": 0.5}, "width=0.5"),
        ({"activation": "relu6"}, "activation=relu6"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(options, received):
    with pytest.raises(UserError) as caught:
        unallocated(**options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: {received}")
