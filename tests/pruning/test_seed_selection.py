"""select(protocol="seed") against the masks of the authors' own code."""

import numpy as np
import pytest
from seed_nets import drawn, small

import rrelu_tf
from rrelu_tf.errors import UserError

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


def seed(scores, model, sparsity=0.5, **options):
    options = {"protocol": "seed", **options}
    return rrelu_tf.select(scores, sparsity=sparsity, model=model, **options)


# The last int(0.05 * width) + 1 filters.
PROTECTED = {32: 2, 64: 4, 128: 7, 256: 13, 512: 26, 1024: 52}


@pytest.mark.parametrize(
    ("arch", "total"), [("vgg13", 152), ("mobilenet_v1", 560)]
)
def test_the_last_filters_are_protected_by_index(arch, total):
    model = create(arch)
    scores = {
        key: np.linspace(1, 0, len(values))  # the last are the least
        for key, values in rrelu_tf.score(model, "bn").items()
    }
    keep = seed(scores, model, 0.25)
    for stays in keep.values():
        count = PROTECTED[len(stays)]
        assert stays[-count:].all() and not stays[-count - 1]
    assert sum(PROTECTED[len(stays)] for stays in keep.values()) == total


def test_depthwise_filters_have_the_scores_and_masks_before_them():
    model = create("mobilenet_v1")
    scores = drawn(model)
    for percent, goes in ((25, 2736), (75, 8208), (50, 5472)):
        keep = seed(scores, model, percent / 100)
        units = list(keep.values())
        for before, depthwise in zip(units[:-1:2], units[1::2], strict=True):
            assert np.array_equal(before, depthwise)
        gone = sum(int((~stays).sum()) for stays in units)
        # A cut between a filter and its copy takes both.
        assert sum(map(len, units)) == 10_944 and gone - goes in (0, 1)
    others = {
        key: values if i % 2 == 0 else values[::-1]
        for i, (key, values) in enumerate(scores.items())
    }
    again = seed(others, model, percent / 100)
    assert all(np.array_equal(keep[key], again[key]) for key in keep)


def test_a_resnet_34_loses_what_whole_percentages_say():
    model = create("resnet34")
    scores = drawn(model, "bn")
    for percent, goes in ((25, 2128), (50, 4256), (75, 6384), (80, 6894)):
        keep = seed(scores, model, percent / 100)
        assert sum(int((~stays).sum()) for stays in keep.values()) == goes
        assert keep["bn1"].all() and len(keep) == 36


def test_a_unit_of_a_resnet_that_lost_everything_keeps_its_best():
    model = small()
    scores = drawn(model)
    scores["layer2_0_conv1"] = scores["layer2_0_conv1"] - 9
    scores["layer2_0_shortcut_0"] = np.full(8, -8.0)  # of equals the last
    keep = seed(scores, model, 0.6)
    best = scores["layer2_0_conv1"].argmax()
    assert np.flatnonzero(keep["layer2_0_conv1"]).tolist() == [best]
    assert np.flatnonzero(keep["layer2_0_shortcut_0"]).tolist() == [7]


def test_of_equal_scores_the_first_go():
    model = small()
    ones = {key: np.ones(len(values)) for key, values in drawn(model).items()}
    keep = list(seed(ones, model, 0.25).values())
    # 21 of 84: three whole units, of which one each comes back, and 5.
    assert [int(stays.sum()) for stays in keep[:6]] == [4, 1, 1, 1, 3, 8]


def test_keys_in_any_order_give_the_same_masks():
    model = small()
    scores = drawn(model)
    keep = seed(scores, model)
    turned = seed(dict(reversed(scores.items())), model)
    assert list(keep) == list(turned) == list(scores)
    assert all(np.array_equal(keep[key], turned[key]) for key in keep)


def without(scores, key):
    return {k: values for k, values in scores.items() if k != key}


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"sparsity": 1.0}, "sparsity=1.0"),
        ({"sparsity": -0.1}, "sparsity=-0.1"),
        ({"sparsity": 0.5, "seed_round": 2}, "seed_round=2"),
        ({"sparsity": 0.5, "seed_round": (3, 2)}, r"seed_round=\(3, 2\)"),
        ({"sparsity": 0.5, "seed_round": (0, 2)}, r"seed_round=\(0, 2\)"),
        ({"sparsity": 0.5, "seed_round": (1, 2, 3)}, r"=\(1, 2, 3\)"),
        ({"sparsity": 0.5, "seed_round": (1, 2.5)}, r"=\(1, 2.5\)"),
        ({"sparsity": 0.5, "seed_round": (1, [])}, r"thresholds=\[\]"),
        ({"sparsity": 0.5, "seed_round": (1, [20, 20])}, r"=\[20, 20\]"),
        ({"sparsity": 0.5, "seed_round": (1, [0, 50])}, r"=\[0, 50\]"),
        ({"sparsity": 0.5, "seed_round": (1, [50, 100])}, r"=\[50, 100\]"),
        (
            {"sparsity": 0.5, "seed_round": (1, [20, 60])},
            r"sparsity=0.5, thresholds=\[20, 60\]",
        ),
        ({"sparsity": 0.5, "seed_round": (2, 2)}, "model=Functional"),
        ({"sparsity": 0.5, "scope": "layer"}, "scope=layer"),
        ({"sparsity": 0.5, "min_fraction": 0.1}, "min_fraction=0.1"),
        ({"sparsity": 0.5, "align": "couple"}, "align=couple"),
        ({"sparsity": 0.5, "model": None}, "model=None"),
        ({"threshold": 0.5}, "threshold=0.5"),
        ({"sparsity": 0.5, "protocol": "authors"}, "protocol=authors"),
        (
            {"sparsity": 0.5, "protocol": None, "seed_round": (1, 2)},
            r"seed_round=\(1, 2\)",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(options, received):
    model = small()
    options = {"model": model, "protocol": "seed", **options}
    with pytest.raises(UserError, match=f"Received: .*{received}$") as error:
        rrelu_tf.select(drawn(model), **options)
    assert "\n" not in str(error.value)


def test_scores_must_be_of_every_unit_and_the_net_of_a_family():
    model = small()
    scores = drawn(model)
    for wrong, key in (
        (without(scores, "layer1_0_conv2"), "layer1_0_conv2"),
        ({**scores, "bn1": np.ones(4)}, "bn1|layer"),
    ):
        with pytest.raises(UserError, match=f"first odd one: key=({key})"):
            seed(wrong, model)
    other = small("resnet8")
    with pytest.raises(UserError, match="Received: model=resnet8$"):
        seed(drawn(other), other)


def test_what_is_protected_does_not_go():
    model = create("vgg13")
    with pytest.raises(UserError, match="2792 of 2944 .* sparsity=0.99$"):
        seed(drawn(model), model, 0.99)


def test_nothing_goes_only_if_that_was_asked():
    model = small()
    scores = drawn(model)
    assert all(stays.all() for stays in seed(scores, model, 0).values())
    net = create("vgg13")
    with pytest.raises(UserError, match="sparsity=0.0001$"):
        seed(drawn(net), net, 0.0001)
