"""Weights by formula: the numbers, and files that do not tell them."""

import json

import numpy as np
import pytest

from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.models import formula_weights

ENTRY = {
    "name": "fc1.weight",
    "shape": [500, 4],
    "stored": False,
    "C": 41_000_123,
    "bound": 0.25,
}


@pytest.fixture
def fcnn():
    return models.create("fcnn", num_classes=2, input_shape=(2, 2, 1))


def write(folder, entries, left_out=("fc1.weight",)):
    """An .npz without some of the arrays, and the JSON beside it."""
    generator = np.random.default_rng(0)
    shapes = {"fc1.weight": (500, 4), "fc1.bias": (500,)}
    shapes |= {"fc2.weight": (2, 500), "fc2.bias": (2,)}
    arrays = {
        f"w/{name}": generator.normal(size=shape).astype("float32")
        for name, shape in shapes.items()
        if name not in left_out
    }
    np.savez(folder / "net.npz", **arrays)
    if entries is not None:
        text = json.dumps({"parameters": entries})
        (folder / "net.json").write_text(text)
    return folder / "net.npz"


def by_whole_numbers(count, constant, bound):
    """The formula in Python's integers, which do not overflow."""
    prime, weights = 2147483647, []
    for i in range(1, count + 1):
        first = (48271 * i + constant) % prime
        third = (first * first) % prime * first % prime
        weights.append(np.float32((2 * (third / prime) - 1) * bound))
    return weights


@pytest.mark.parametrize(
    ("shape", "constant", "bound"),
    [
        ((7, 5, 3, 3), 1_000_003, 1 / 3),
        ((90_000,), 2**31 - 2, 2.5),
        ((3, 2), 0, 1),
    ],
)
def test_the_numbers_are_those_of_exact_arithmetic(shape, constant, bound):
    drawn = formula_weights.draw(shape, constant, bound)
    expected = by_whole_numbers(drawn.size, constant, bound)
    assert drawn.dtype == "float32"
    assert drawn.shape == tuple(shape)
    assert np.array_equal(drawn.ravel(), expected)
    assert np.abs(drawn).max() <= bound


def test_a_json_beside_the_file_gives_what_is_not_stored(fcnn, tmp_path):
    stored = {"name": "fc2.bias", "shape": [2], "size": 2, "stored": True}
    models.load_seed_weights(fcnn, write(tmp_path, [stored, ENTRY]))
    expected = formula_weights.draw([500, 4], ENTRY["C"], ENTRY["bound"])
    assert np.array_equal(fcnn.get_layer("fc1").kernel, expected.T)


def test_a_stored_array_goes_before_its_formula(fcnn, tmp_path):
    npz = write(tmp_path, [ENTRY], left_out=())
    models.load_seed_weights(fcnn, npz)
    stored = np.load(npz)["w/fc1.weight"]
    assert np.array_equal(fcnn.get_layer("fc1").kernel, stored.T)


def test_a_json_about_other_things_is_passed_by(fcnn, tmp_path):
    npz = write(tmp_path, None, left_out=())
    for content in ({"run": 3}, [1, 2], "text", None):
        (tmp_path / "net.json").write_text(json.dumps(content))
        fcnn.get_layer("fc1").kernel.assign(np.zeros((4, 500)))
        models.load_seed_weights(fcnn, npz)
        stored = np.load(npz)["w/fc1.weight"]
        assert np.array_equal(fcnn.get_layer("fc1").kernel, stored.T)


@pytest.mark.parametrize(
    "change",
    [
        {"C": 1.5},
        {"C": -1},
        {"C": 2**31},
        {"C": None},
        {"bound": "wide"},
        {"bound": None},
        {"bound": float("nan")},
        {"bound": 0},
        {"shape": [500, -4]},
        {"shape": [500, 4.0]},
        {"shape": 2000},
        {"shape": None},
        {"name": 3},
    ],
)
def test_a_formula_without_its_constants_is_refused(fcnn, tmp_path, change):
    check_refused(fcnn, write(tmp_path, [ENTRY | change]))


@pytest.mark.parametrize("key", ["name", "shape", "stored", "C", "bound"])
def test_an_entry_without_a_key_is_refused(fcnn, tmp_path, key):
    entry = {name: value for name, value in ENTRY.items() if name != key}
    check_refused(fcnn, write(tmp_path, [entry]))


@pytest.mark.parametrize("entries", [[3], ["fc1.weight"], {"a": 1}, 7, None])
def test_other_lists_are_refused(fcnn, tmp_path, entries):
    npz = write(tmp_path, None)
    text = json.dumps({"parameters": entries})
    (tmp_path / "net.json").write_text(text)
    check_refused(fcnn, npz)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00"])
def test_a_broken_file_is_refused(fcnn, tmp_path, content):
    npz = write(tmp_path, None)
    (tmp_path / "net.json").write_bytes(content)
    check_refused(fcnn, npz)


def check_refused(model, npz):
    before = model.get_weights()
    with pytest.raises(UserError) as caught:
        models.load_seed_weights(model, npz)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: json={npz.with_suffix('.json')}")
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_formula_of_another_shape_does_not_fit(fcnn, tmp_path):
    npz = write(tmp_path, [ENTRY | {"shape": [4, 500]}])
    with pytest.raises(UserError, match=r"and has \(4, 500\)"):
        models.load_seed_weights(fcnn, npz)
