"""The authors' trained ResNet-20: what it computes, and what strip takes."""

import io
import math
import pathlib
import zipfile

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.models.seed_weights import save_seed_weights

ZETAS = (0, 0.1, 0.25, 0.3)


@pytest.fixture
def npz(shared):
    return shared / "fixtures" / "rrelu" / "resnet20_cifar10.npz"


def load(npz, dtype="float32"):
    keras.config.set_dtype_policy(dtype)
    model = models.create("resnet20", num_classes=10, activation="rrelu")
    return models.load_seed_weights(model, npz)


def masked(model, zeta):
    scores = rrelu_tf.score(model, "slope")
    return rrelu_tf.mask(model, rrelu_tf.select(scores, threshold=zeta))


def images(arrays, count=None):
    pixels = arrays["images_u8"][:count] / 255.0
    return (pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-9)]
)
def test_logits_equal_the_authors_at_every_zeta(npz, dtype, tolerance):
    arrays = np.load(npz)
    model = load(npz, dtype)
    x = images(arrays).astype(dtype)
    for zeta in ZETAS:
        truth = arrays[f"logits/zeta_{zeta}"]
        ours = masked(model, zeta)(x, training=False)
        error = np.abs(ours - truth).max() / np.abs(truth).max()
        assert error < tolerance, zeta


def test_the_same_slopes_are_alive_at_every_zeta(npz):
    arrays = np.load(npz)
    model = load(npz)
    for zeta in ZETAS:
        alive = [
            np.count_nonzero(layer.slope.numpy())
            for layer in masked(model, zeta).layers
            if isinstance(layer, Rotated)
        ]
        assert alive == arrays[f"alive/zeta_{zeta}"].tolist()


def test_zeta_a_tenth_strips_exactly_the_papers_weights_and_flops(npz):
    model = masked(load(npz, "float64"), 0.1)
    small = rrelu_tf.strip(model)
    weights = flops = 0
    for layer in small.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            size = math.prod(layer.kernel.shape)
            weights += size
            flops += 2 * size * math.prod(layer.output.shape[1:-1])
    assert (weights, flops) == (253_264, 78_594_848)
    slopes = [x.slope.shape[0] for x in small.layers if isinstance(x, Rotated)]
    assert sum(slopes) == 672 - 26
    x = images(np.load(npz), 8)
    a, b = model(x, training=False), small(x, training=False)
    assert np.abs(a - b).max() <= 1e-12 * np.abs(a).max()


@pytest.mark.parametrize(
    "zeta", [pytest.param(0.25, marks=pytest.mark.slow), 0.3]
)
def test_deep_cuts_of_trained_weights_are_equal_too(npz, zeta):
    model = masked(load(npz, "float64"), zeta)
    small = rrelu_tf.strip(model)
    x = images(np.load(npz), 4)
    a, b = model(x, training=False), small(x, training=False)
    assert np.abs(a - b).max() <= 1e-12 * np.abs(a).max()
    gone = {0.25: 48, 0.3: 151}[zeta]
    slopes = [x.slope.shape[0] for x in small.layers if isinstance(x, Rotated)]
    assert sum(slopes) <= 672 - gone


@pytest.mark.parametrize(
    ("arch", "names", "count", "shortcuts"),
    [("mobilenet_v1", 83, 3_309_476, 0), ("resnet34", 110, 21_328_292, 3)],
)
def test_nets_of_the_orthoreg_authors_load_by_their_names(
    tmp_path, arch, names, count, shortcuts
):
    net = models.create(arch, num_classes=100)
    file = io.BytesIO()
    save_seed_weights(net, file)
    stored = np.load(io.BytesIO(file.getvalue()))
    arrays = {
        key.replace("downsample", "shortcut").replace("w/fc.", "w/linear."): x
        for key, x in stored.items()
    }
    parameters = {k: x for k, x in arrays.items() if "running" not in k}
    assert len(parameters) == names
    assert sum(x.size for x in parameters.values()) == count
    assert {"w/conv1.weight", "w/bn1.weight", "w/linear.bias"} <= set(arrays)
    assert sum(".shortcut.0." in key for key in arrays) == shortcuts
    keras.utils.set_random_seed(1)
    again = models.create(arch, num_classes=100)
    models.load_seed_weights(again, write(tmp_path, arrays))
    for a, b in zip(net.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.fixture
def small():
    return models.create(
        "fcnn", num_classes=2, input_shape=(2, 2, 1), activation="rrelu"
    )


def good_arrays():
    generator = np.random.default_rng(0)
    shapes = {
        "w/fc1.weight": (500, 4),
        "w/fc1.bias": (500,),
        "w/rrelu1.a": (500,),
        "w/fc2.weight": (2, 500),
        "w/fc2.bias": (2,),
    }
    return {key: generator.normal(size=shape) for key, shape in shapes.items()}


def write(folder, arrays):
    path = folder / "weights.npz"
    np.savez(path, **arrays)
    return path


def test_linear_weights_are_transposed(small, tmp_path):
    arrays = good_arrays()
    assert models.load_seed_weights(small, write(tmp_path, arrays)) is small
    kernel = small.get_layer("fc1").kernel.numpy()
    np.testing.assert_allclose(kernel, arrays["w/fc1.weight"].T, rtol=1e-6)
    slope = small.get_layer("rrelu1").slope.numpy()
    np.testing.assert_allclose(slope, arrays["w/rrelu1.a"], rtol=1e-6)


def test_arrays_of_other_kinds_are_not_weights(small, tmp_path):
    arrays = {**good_arrays(), "images_u8": np.zeros(3, "uint8")}
    models.load_seed_weights(small, str(write(tmp_path, arrays)))
    kernel = small.get_layer("fc1").kernel.numpy()
    np.testing.assert_allclose(kernel, arrays["w/fc1.weight"].T, rtol=1e-6)


def missing_file(folder):
    return folder / "nowhere.npz"


def a_folder(folder):
    return folder


def empty_file(folder):
    path = folder / "empty.npz"
    path.touch()
    return path


def text_file(folder):
    path = folder / "text.npz"
    path.write_text("no arrays in here\nat all\n")
    return path


def plain_npy(folder):
    path = folder / "one.npy"
    np.save(path, np.zeros(3))
    return path


def pickled_arrays(folder):
    arrays = good_arrays()
    arrays["w/fc1.bias"] = np.array([None] * 500, object)
    return write(folder, arrays)


def zip_of_texts(folder):
    path = folder / "texts.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/fc1.weight.npy", "not an array")
    return path


def cut_in_half(folder):
    path = write(folder, good_arrays())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def flipped_bits(folder):
    path = folder / "weights.npz"
    np.savez_compressed(path, **good_arrays())
    content = bytearray(path.read_bytes())
    content[300:340] = bytes(255 - byte for byte in content[300:340])
    path.write_bytes(content)
    return path


def one_missing(folder):
    arrays = good_arrays()
    del arrays["w/fc2.bias"]
    return write(folder, arrays)


def one_too_many(folder):
    return write(folder, {**good_arrays(), "w/fc3.bias": np.zeros(2)})


def not_transposed(folder):
    arrays = good_arrays()
    arrays["w/fc1.weight"] = arrays["w/fc1.weight"].T
    return write(folder, arrays)


def last_one_of_text(folder):
    arrays = {**good_arrays(), "w/fc2.bias": np.array(["a", "b"])}
    return write(folder, arrays)


@pytest.mark.parametrize(
    "bad",
    [
        missing_file,
        a_folder,
        empty_file,
        text_file,
        plain_npy,
        pickled_arrays,
        zip_of_texts,
        cut_in_half,
        flipped_bits,
        one_missing,
        one_too_many,
        not_transposed,
        last_one_of_text,
    ],
)
def test_a_bad_file_is_refused_and_changes_nothing(bad, small, tmp_path):
    path: pathlib.Path = bad(tmp_path)
    before = small.get_weights()
    with pytest.raises(UserError) as caught:
        models.load_seed_weights(small, path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: npz={path}")
    for a, b in zip(before, small.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_plain_network_refuses_slopes(tmp_path):
    plain = models.create("fcnn", num_classes=2, input_shape=(2, 2, 1))
    with pytest.raises(UserError, match=r"no weight for rrelu1\.a"):
        models.load_seed_weights(plain, write(tmp_path, good_arrays()))
