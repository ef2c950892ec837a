"""seed_pruned against the nets that the authors' own code makes."""

import keras
import numpy as np
import pytest
from seed_nets import drawn, small

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.pruning import seed_parameters, seed_pruned, seed_rounds
from rrelu_tf.scoring import scores

ARCHS = ["vgg13", "resnet56_b"]
METHODS = ("bn", "fisher", "orthoreg", "tfo", "l1", "sfp", "rdt", "grasp")
both = pytest.mark.parametrize("arch", ARCHS)


def masks(model, arrays, name, scored="l1"):
    """The authors' mask under our keys."""
    widths = rrelu_tf.score(model, scored)
    ends = np.cumsum([len(own) for own in widths.values()])
    stays = np.unpackbits(arrays[f"exp/{name}"])[: ends[-1]] == 1
    return dict(zip(widths, np.split(stays, ends[:-1]), strict=True))


def agrees(model, images, arrays, name):
    """Logits within 1e-6, the count of parameters to the last one."""
    logits = model(images[:8], training=False)
    truth = arrays[f"exp/{name.format('logits')}"]
    np.testing.assert_allclose(
        logits, truth, rtol=1e-6, atol=1e-9 * np.abs(truth).max()
    )
    assert seed_parameters(model) == arrays[f"exp/{name.format('params')}"]


@both
def test_a_pruned_net_is_the_authors(authors, arch):
    model, images, arrays = authors(arch)
    keep = masks(model, arrays, "mask/fisher/50")
    small = seed_pruned(model, keep)
    agrees(small, images, arrays, "pruned_{}/fisher/50")
    assert small.name == model.name


@pytest.mark.slow
@both
@pytest.mark.parametrize("percent", [25, 50, 75])
def test_all_pruned_nets_are_the_authors(authors, arch, percent):
    model, images, arrays = authors(arch)
    for method in METHODS:
        name = f"{method}/{percent}"
        scored = "bn" if method in ("bn", "tfo") else "l1"
        small = seed_pruned(model, masks(model, arrays, f"mask/{name}", scored))
        agrees(small, images, arrays, f"pruned_{{}}/{name}")


def rounds(model, images, arrays, method):
    """Two rounds, each step the library's own."""
    data = images, arrays["labels"]
    for round_ in seed_rounds(model, 0.5, rounds=2):
        values = rrelu_tf.score(
            model, method, data, protocol="seed", batch_size=64
        )
        name = f"exp/two_round/{method}/round{round_.number}"
        widths = [len(own) for own in values.values()]
        assert widths == arrays[f"{name}/orig"].tolist()
        found = np.concatenate(list(values.values()))
        np.testing.assert_allclose(
            found, arrays[f"{name}/imp"], rtol=1e-6, atol=1e-12 * found.max()
        )
        keep = rrelu_tf.select(
            values,
            sparsity=round_.sparsity,
            model=model,
            protocol="seed",
            seed_round=round_.place,
        )
        truth = np.unpackbits(arrays[f"{name}/mask"])[: sum(widths)] == 1
        assert np.array_equal(np.concatenate(list(keep.values())), truth)
        counts = [int(stays.sum()) for stays in keep.values()]
        assert counts == arrays[f"{name}/kept"].tolist()
        model = seed_pruned(model, keep)
    agrees(model, images, arrays, f"two_round/{method}/pruned_{{}}")
    return model


def test_two_rounds_are_the_authors(authors):
    rounds(*authors("resnet56_b"), "l1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "method"),
    [("resnet56_b", "fisher"), ("vgg13", "fisher"), ("vgg13", "l1")],
)
def test_two_rounds_by_other_scores_are_the_authors(authors, arch, method):
    rounds(*authors(arch), method)


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    ("methods", "four"),
    [
        (("bn", "fisher", "orthoreg", "tfo", "l1", "sfp"), ""),
        (("fisher", "orthoreg", "tfo", "rdt"), "4"),
    ],
)
def test_masks_of_the_librarys_own_scores_are_the_authors(
    authors, arch, methods, four
):
    model, images, arrays = authors(arch)
    chosen = arrays["small_idx"] if four else slice(None)
    found = scores(
        model,
        methods,
        (images[chosen], arrays["labels"][chosen]),
        protocol="seed",
        batch_size=64,
    )
    same(model, arrays, found, four)


@pytest.mark.slow
@both
def test_masks_of_the_librarys_own_rdt_and_grasp_are_the_authors(authors, arch):
    model, images, arrays = authors(arch)
    rdt = rrelu_tf.score(
        model, "rdt", (images[:16], arrays["labels"][:16]), protocol="seed"
    )
    grasp = rrelu_tf.score(
        model,
        "grasp",
        (images, arrays["grasp_labels"]),
        protocol="seed",
        classes=4,
        per_class=15,
    )
    same(model, arrays, {"rdt": rdt, "grasp": grasp}, "")


def same(model, arrays, found, four):
    for method, values in found.items():
        for percent in (25, 50, 75):
            keep = rrelu_tf.select(
                values, sparsity=percent / 100, model=model, protocol="seed"
            )
            kept = np.concatenate(list(keep.values()))
            name = f"exp/mask{four}/{method}/{percent}"
            if name in arrays:
                truth = np.unpackbits(arrays[name])[: len(kept)] == 1
                assert np.array_equal(kept, truth), name


def half(model, method="l1", place=None):
    return rrelu_tf.select(
        drawn(model, method),
        sparsity=0.5,
        model=model,
        protocol="seed",
        seed_round=place,
    )


@pytest.mark.parametrize("method", ["l1", "bn"])
@pytest.mark.parametrize("activation", ["relu", "rrelu"])
def test_a_pruned_resnet_equals_the_masked_one(method, activation):
    model = small(activation=activation)
    keep = half(model, method)
    pruned = seed_pruned(model, keep)
    rrelu_tf.verify(rrelu_tf.mask(model, keep), pruned)
    stripped = rrelu_tf.strip(pruned)
    rrelu_tf.verify(pruned, stripped)
    assert stripped.count_params() < pruned.count_params()


def test_only_the_first_convolutions_of_a_resnets_blocks_get_narrower():
    model = small()
    keep = half(model)
    pruned = seed_pruned(model, keep)
    for key, stays in keep.items():
        narrow = key.endswith("_conv1")
        width = stays.sum() if narrow else len(stays)
        layer = pruned.get_layer(key)
        assert layer.filters == width
        if not narrow:
            zeros = ~np.asarray(layer.kernel).any(axis=(0, 1, 2))
            assert np.array_equal(zeros, ~stays)
    kept = rrelu_tf.kept(pruned)["layer3_0_conv1"]
    assert np.array_equal(kept, np.flatnonzero(keep["layer3_0_conv1"]))


def test_what_is_pruned_in_place_stays_at_0_in_training(tmp_path):
    model = small()
    keep = half(model)
    seed_pruned(model, keep).save(tmp_path / "pruned.keras")
    pruned = keras.saving.load_model(tmp_path / "pruned.keras")
    pruned.compile(
        keras.optimizers.SGD(0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 1))
    before = [np.array(weight) for weight in pruned.trainable_weights]
    pruned.fit(images, np.arange(8) % 3, epochs=2, verbose=0)
    after = [np.array(weight) for weight in pruned.trainable_weights]
    assert any(not np.array_equal(*p) for p in zip(before, after, strict=True))
    gone = ~keep["layer2_0_shortcut_0"]
    norm = pruned.get_layer("layer2_0_shortcut_1")
    weights = [pruned.get_layer("layer2_0_shortcut_0").kernel, *norm.weights]
    assert gone.any() and len(weights) == 5
    for weight in weights[:4]:
        assert not np.asarray(weight)[..., gone].any()
    # So the next round knows the first widths, and counts by them.
    first, second = seed_rounds(pruned, 0.5, rounds=2)
    assert first.first == second.first == 84


def test_the_next_rounds_map_takes_the_last_ones_place():
    model = small()
    pruned = seed_pruned(model, half(model, place=(1, 2)))
    everything = {
        key: np.ones(len(values), bool) for key, values in drawn(pruned).items()
    }
    again = seed_pruned(pruned, everything)
    rrelu_tf.verify(pruned, again)
    names = [layer.name for layer in again.layers]
    assert names.count("layer1_0_bn2_map") == 1
    assert set(again.get_layer("layer1_0_bn2_map").scale) == {1.0}
    third = seed_pruned(again, half(again, place=(2, 2)))
    assert seed_parameters(third) < seed_parameters(again)
    assert third.widths["layer3_0_conv1"] == 16


def test_a_mobilenet_gets_narrower():
    model = rrelu_tf.models.create(
        "mobilenet_v1", num_classes=3, input_shape=(9, 9, 1)
    )
    keep = half(model, "bn")
    pruned = seed_pruned(model, keep)
    rrelu_tf.verify(rrelu_tf.mask(model, keep), pruned)
    widths = [len(values) for values in drawn(pruned).values()]
    assert widths == [int(stays.sum()) for stays in keep.values()]
    key, _ = list(keep.items())[3]
    keep[key] = np.roll(keep[key], 1)
    with pytest.raises(UserError, match=f"one mask. Received: {key}="):
        seed_pruned(model, keep)


def test_masks_that_do_not_fit_are_refused_in_one_line():
    model = small()
    keep = half(model)
    for wrong, received in (
        (np.ones(3, bool), r"layer1_0_conv2=bool array of shape \(3,\)"),
        (np.ones(4), "layer1_0_conv2=float64 array"),
        (np.zeros(4, bool), "layer1_0_conv2=bool .* keeps 0$"),
    ):
        with pytest.raises(UserError, match=f"Received: {received}"):
            seed_pruned(model, {**keep, "layer1_0_conv2": wrong})
    with pytest.raises(UserError, match="Received: model=resnet8$"):
        seed_pruned(small("resnet8"), keep)
