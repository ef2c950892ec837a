"""protocol="seed": the numbers that the OrthoReg authors' code computes."""

import json

import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.scoring import scores

ARCHS = ["vgg13", "resnet56_b"]
both = pytest.mark.parametrize("arch", ARCHS)


def agree(found, arrays, name):
    """Within 1e-6 of the value, or of rounding next to the largest."""
    found = np.concatenate(list(found.values()))
    truth = arrays[f"exp/{name}"]
    np.testing.assert_allclose(
        found, truth, rtol=1e-6, atol=1e-12 * np.abs(truth).max()
    )


@both
def test_scores_by_weights(authors, arch):
    model, _, arrays = authors(arch)
    for method in ("bn", "l1", "sfp"):
        found = rrelu_tf.score(model, method, protocol="seed")
        agree(found, arrays, f"imp/{method}")


@both
def test_keys_and_widths_are_the_authors_units_in_their_order(
    authors, arch, shared
):
    model, _, arrays = authors(arch)
    name = {"resnet56_b": "resnet56"}.get(arch, arch)
    file = shared / "fixtures" / "orthoreg" / f"{name}.json"
    units = json.loads(file.read_text())["layers"]
    for method, kind in (("l1", "conv"), ("bn", "bn")):
        found = rrelu_tf.score(model, method)
        assert list(found) == [unit[kind].replace(".", "_") for unit in units]
        sizes = [len(values) for values in found.values()]
        assert sizes == arrays["exp/layer_sizes"].tolist()


@both
def test_first_order_scores_of_four_images(authors, arch):
    model, images, arrays = authors(arch)
    four = arrays["small_idx"]
    data = images[four], arrays["labels"][four]
    methods = ["fisher", "orthoreg", "tfo"]
    found = scores(model, methods, data, protocol="seed")
    agree(found["fisher"], arrays, "imp4/fisher")
    agree(found["tfo"], arrays, "imp4/tfo")
    for key, values in found["orthoreg"].items():
        assert np.array_equal(values, found["fisher"][key])


@pytest.mark.slow
@both
@pytest.mark.parametrize("batch_size", [64, 24])
def test_first_order_scores_of_all_images(authors, arch, batch_size):
    model, images, arrays = authors(arch)
    found = scores(
        model,
        ["fisher", "orthoreg", "tfo"],
        (images, arrays["labels"]),
        protocol="seed",
        batch_size=batch_size,
    )
    for method, values in found.items():
        agree(values, arrays, f"imp/{method}")


@pytest.mark.slow
@both
def test_a_batch_is_whole_unless_enough_were_seen_before_it(authors, arch):
    model, images, arrays = authors(arch)
    data = images, arrays["labels"]
    options = {"samples": 32, "batch_size": 16}
    found = rrelu_tf.score(model, "fisher", data, protocol="seed", **options)
    agree(found, arrays, "imp_extra/fisher_b16_stop32")


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    ("name", "images", "batch_size"),
    [
        ("imp4/rdt", "small_idx", 128),
        ("imp/rdt", slice(16), 16),
        ("imp_extra/rdt_2x4", slice(8), 4),
    ],
)
def test_rdt(authors, arch, name, images, batch_size):
    model, pixels, arrays = authors(arch)
    chosen = arrays[images] if images == "small_idx" else images
    data = pixels[chosen], arrays["labels"][chosen]
    found = rrelu_tf.score(
        model, "rdt", data, protocol="seed", batch_size=batch_size
    )
    agree(found, arrays, name)


@pytest.mark.slow
@both
@pytest.mark.parametrize("batch_size", [64, 24])
def test_grasp_of_all_images(authors, arch, batch_size):
    model, images, arrays = authors(arch)
    found = rrelu_tf.score(
        model,
        "grasp",
        (images, arrays["grasp_labels"]),
        protocol="seed",
        classes=4,
        per_class=15,
        batch_size=batch_size,
    )
    agree(found, arrays, "imp/grasp")


@pytest.mark.slow
@both
def test_grasp_of_two_images(authors, arch):
    model, images, arrays = authors(arch)
    data = images[arrays["small_idx"]], np.array([0, 1, 0, 1])
    options = {"classes": 2, "per_class": 1, "temperature": 200}
    found = rrelu_tf.score(model, "grasp", data, protocol="seed", **options)
    agree(found, arrays, "imp4/grasp")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["l1", "fisher"])
def test_a_stripped_net_is_scored_as_the_authors_second_round(authors, method):
    model, images, arrays = authors("vgg13")
    data = images, arrays["labels"]
    options = {"protocol": "seed", "batch_size": 64}
    first = rrelu_tf.score(model, method, data, **options)
    sizes = np.cumsum([len(values) for values in first.values()])
    bits = arrays[f"exp/two_round/{method}/round1/mask"]
    keep = np.split(np.unpackbits(bits)[: sizes[-1]] == 1, sizes[:-1])
    keep = dict(zip(first, keep, strict=True))
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    second = rrelu_tf.score(small, method, data, **options)
    agree(second, arrays, f"two_round/{method}/round2/imp")


@pytest.mark.parametrize(
    ("arch", "fans_in"),
    [
        ("vgg13", {"features_2": 27, "features_5": 9 * 64}),
        ("mobilenet_v1", {}),
        ("resnet8_b", {}),
    ],
)
def test_only_in_vggs_scales_are_divided_by_the_fan_in(arch, fans_in):
    model = rrelu_tf.models.create(arch, num_classes=3)
    right, seed = (
        rrelu_tf.score(model, "bn", protocol=protocol)
        for protocol in (None, "seed")
    )
    for key, values in seed.items():
        if fans_in and key not in fans_in:
            continue
        expected = right[key] / fans_in.get(key, 1)
        np.testing.assert_allclose(values, expected, 1e-6)


def test_models_of_no_family_have_no_seed_protocol():
    model = rrelu_tf.models.create("fcnn", num_classes=3, input_shape=(4, 4, 1))
    with pytest.raises(UserError, match="Received: model=fcnn$"):
        rrelu_tf.score(model, "l1", protocol="seed")


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("fisher", {"per_sample": True}),
        ("tfo", {"beta": True}),
        ("rdt", {"times_weights": True}),
        ("bn", {"over_fan_in": True}),
        ("l1", {"normalize": "layer"}),
    ],
)
def test_what_the_seed_protocol_decides_may_not_be_given(method, options):
    model = rrelu_tf.models.create(
        "resnet8_b", num_classes=3, input_shape=(8, 8, 1)
    )
    (name,) = options
    with pytest.raises(UserError, match=f"decides {name} .* Received: {name}="):
        rrelu_tf.score(model, method, protocol="seed", **options)
