"""select(protocol="seed") against the masks of the authors' own code."""

import numpy as np
import pytest

import rrelu_tf

ARCHS = {"vgg13": "vgg13", "resnet56_b": "resnet56"}
METHODS = ("bn", "fisher", "orthoreg", "tfo", "l1", "sfp", "rdt", "grasp")
both = pytest.mark.parametrize("arch", ARCHS)


@pytest.fixture
def arrays(shared):
    """Function of an architecture: the authors' numbers."""
    folder = shared / "fixtures" / "orthoreg"
    return lambda arch: np.load(folder / f"{ARCHS[arch]}.npz")


def create(arch):
    return rrelu_tf.models.create(arch, num_classes=100)


def by_key(model, method, values):
    """The authors' numbers of all units, under our keys."""
    keys = rrelu_tf.score(model, "bn" if method in ("bn", "tfo") else "l1")
    ends = np.cumsum([len(own) for own in keys.values()])
    return dict(zip(keys, np.split(values, ends[:-1]), strict=True))


def bits(arrays, name, count):
    return np.unpackbits(arrays[f"exp/{name}"])[:count] == 1


@both
def test_masks_are_the_authors_bit_for_bit(arrays, arch):
    model, stored = create(arch), arrays(arch)
    total = int(stored["exp/layer_sizes"].sum())
    compared = 0
    for four in ("", "4"):
        for method in METHODS:
            if f"exp/imp{four}/{method}" not in stored:
                continue
            values = stored[f"exp/imp{four}/{method}"]
            scores = by_key(model, method, values)
            for percent in (25, 50, 75):
                keep = rrelu_tf.select(
                    scores,
                    sparsity=percent / 100,
                    model=model,
                    protocol="seed",
                )
                found = np.concatenate(list(keep.values()))
                name = f"{method}/{percent}"
                truth = bits(stored, f"mask{four}/{name}", total)
                assert np.array_equal(found, truth), name
                counts = [int(stays.sum()) for stays in keep.values()]
                assert counts == stored[f"exp/kept{four}/{name}"].tolist()
                assert list(keep) == list(scores)
                compared += 1
    assert compared == 3 * (8 + 4)
