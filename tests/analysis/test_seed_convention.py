import json

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.analysis import exact_convention, profile, seed_convention
from rrelu_tf.analysis.counted_nets import NETS
from rrelu_tf.analysis.seed_convention import convention_of_model
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated

R20_ZETA_TENTH = [*[16] * 5, 15, 32, 31, *[32] * 4, *[64] * 5, 40]
R20_TWO_STEP_CIFAR100 = (
    *(16, 15, 16, 16, 13, 15, 32, 27, 30, 28, 27, 29),
    *(58, 61, 56, 62, 61, 64),
)
WRN_16_4_SVHN = np.array([8, 45, 10, 23, 61, 128, 91, 123, 122, 252, 222, 131])
RESNET50 = [
    *(64, 62, 62, 145, 59, 61, 215, 64, 63, 252, 126, 128, 308, 127, 127, 390),
    *(128, 128, 493, 128, 128, 495, 256, 256, 341, 256, 256, 436, 256, 256),
    *(561, 256, 256, 742, 256, 256, 834, 256, 256, 852, 512, 512, 1765, 512),
    *(512, 2047, 512, 512, 680, 1000),
]


def check(found, memory, flops):
    assert found == pytest.approx({"memory": memory, "flops": flops}, abs=0.01)


# (memory, FLOPs) by the scripts, and exactly.
@pytest.mark.parametrize(
    "arch, alive, classes, scripts, exact",
    [
        ("resnet20", R20_ZETA_TENTH, 10, (5.62, 3.09), (5.62, 3.09)),
        ("resnet20", R20_TWO_STEP_CIFAR100, 10, *[(13.33, 13.33)] * 2),
        ("wrn_16_4", WRN_16_4_SVHN, 10, (33.21, 28.46), (28.31, 33.97)),
        ("resnet50", RESNET50, 1000, (16.25, 12.79), (18.67, 15.48)),
        ("resnet50", RESNET50[1:-1], 1000, (16.25, 12.79), (18.67, 15.48)),
    ],
)
def test_a_list_saves_what_is_published(arch, alive, classes, scripts, exact):
    check(seed_convention(arch, alive, classes), *scripts)
    check(exact_convention(arch, alive, num_classes=classes), *exact)


def test_every_published_list_saves_what_is_published(shared):
    file = shared / "fixtures" / "rrelu" / "alive_lists.json"
    records = json.loads(file.read_text())
    assert len(records) > 10
    for record in records:
        given = [record[key] for key in ("arch", "alive", "num_classes")]
        scripts = record["seed_convention_saving_percent"]
        check(seed_convention(*given), **scripts)
        check(exact_convention(*given), **record["exact_saving_percent"])


def test_the_default_is_ten_classes():
    alive = R20_ZETA_TENTH
    assert seed_convention("resnet20", alive) == seed_convention(
        "resnet20", alive, 10
    )
    assert seed_convention("resnet20", alive) != seed_convention(
        "resnet20", alive, 100
    )


# facts/rrelu.md, section 8: (weights, FLOPs) of the whole net, and what is
# left of it when every slope is zero.
@pytest.mark.parametrize(
    "convention, arch, classes, whole, left",
    [
        (seed_convention, "resnet20", 10, (268_336, 81_102_080), (432, 1024)),
        (seed_convention, "resnet56", 10, (848_944, 250_971_392), (432, 1024)),
        (
            *(seed_convention, "resnet110_preact", 10),
            *((1_719_856, 505_775_360), (640, 1)),
        ),
        (
            *(seed_convention, "resnet164_preact", 10),
            *((1_637_040, 478_516_224), (2_560, 1)),
        ),
        (
            *(seed_convention, "wrn_40_4", 10),
            *((8_979_376, 2_605_552_640), (2_560, 1)),
        ),
        (
            *(seed_convention, "wrn_16_4", 10),
            *((2_786_224, 944_608_256), (2_560, 1)),
        ),
        (
            *(exact_convention, "resnet50", 1000),
            *((25_502_912, 8_178_368_512), (9_408, 112**2)),
        ),
        # torchvision's 68,883,240 parameters without norms and the bias.
        (
            *(exact_convention, "wide_resnet50_2", 1000),
            *((68_814_016, 22_796_042_240), (9_408, 112**2)),
        ),
    ],
)
def test_the_whole_nets_have_the_stated_counts(
    convention, arch, classes, whole, left
):
    saved = convention(arch, [0] * len(NETS[arch].widths()), classes)
    weights, positions = left
    assert saved["memory"] == pytest.approx(
        100 * (1 - weights / whole[0]), rel=1e-12
    )
    assert saved["flops"] == pytest.approx(
        100 * (1 - 2 * weights * positions / whole[1]), rel=1e-12
    )


@pytest.mark.parametrize("arch", NETS)
def test_nothing_dead_saves_nothing(arch):
    widths = NETS[arch].widths()
    for convention in (seed_convention, exact_convention):
        assert convention(arch, widths) == {"memory": 0, "flops": 0}


def pruned(arch, spared=()):
    """(whole, stripped, counts) of a net with random dead slopes."""
    model = models.create(arch, num_classes=10, activation="rrelu")
    generator = np.random.default_rng(0)
    scores = rrelu_tf.score(model, "slope")
    keep = {
        key: (generator.random(value.shape) < 0.8) | (key in spared)
        for key, value in scores.items()
    }
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    slopes = [layer for layer in model.layers if isinstance(layer, Rotated)]
    assert NETS[arch].widths() == [layer.slope.shape[0] for layer in slopes]
    return model, small, [int(keep[layer.name].sum()) for layer in slopes]


def really_saved(model, small):
    before, after = profile(model), profile(small)
    return {
        "memory": 100 * (1 - after.weights / before.weights),
        "flops": 100 * (1 - after.flops / before.flops),
    }


def test_post_activation_both_conventions_are_what_strip_removes():
    model, small, alive = pruned("resnet20")
    saved = really_saved(model, small)
    assert seed_convention("resnet20", alive) == pytest.approx(saved)
    assert exact_convention("resnet20", alive) == pytest.approx(saved)


def test_preactivation_only_the_exact_one_is_what_strip_removes():
    spared = [f"block{stage}_0_rrelu1" for stage in (1, 2, 3)]
    model, small, alive = pruned("wrn_16_4", spared)
    saved = really_saved(model, small)
    assert exact_convention("wrn_16_4", alive) == pytest.approx(saved)
    assert seed_convention("wrn_16_4", alive)["memory"] > saved["memory"] + 4


def test_preactivation_strip_removes_more_where_dead_channels_coincide():
    model, small, alive = pruned("wrn_16_4")
    saved = really_saved(model, small)
    exact = exact_convention("wrn_16_4", alive)
    assert exact["memory"] < saved["memory"] < exact["memory"] + 5
    assert exact["flops"] < saved["flops"] < exact["flops"] + 5


def test_a_model_is_counted_if_it_is_a_net_that_the_scripts_count():
    alive, known = R20_ZETA_TENTH, {"num_classes": 10, "channels": 3}
    found = convention_of_model("resnet20", alive, 268_336, **known)
    check(found, 5.62, 3.09)
    for arch, counts, weights in (
        ("resnet20", alive, 67_768),  # half as wide
        ("resnet20", alive, None),
        ("resnet20", None, 268_336),
        ("resnet20", alive[:-1], 268_336),
        ("fcnn", alive, 268_336),
    ):
        assert convention_of_model(arch, counts, weights, **known) is None


@pytest.mark.parametrize("arch", NETS)
def test_the_weights_of_our_nets_are_those_that_are_counted(arch):
    shape = (224, 224, 3) if NETS[arch].sides[0] == 56 else (32, 32, 1)
    with keras.StatelessScope(initialize_variables=False):
        model = models.create(
            arch, num_classes=7, input_shape=shape, activation="rrelu"
        )
        weights = profile(model).weights
    known = {"num_classes": 7, "channels": shape[-1]}
    whole = NETS[arch].widths()
    found = convention_of_model(arch, whole, weights, **known)
    assert found == {"memory": 0, "flops": 0}
    narrow = [width // 2 for width in whole]
    assert convention_of_model(arch, narrow, weights // 4, **known) is None


GOOD = [16] * 6 + [32] * 6 + [64] * 6


@pytest.mark.parametrize(
    "arch, alive, classes, message",
    [
        ("resnet21", GOOD, 10, r"mean resnet20\? Received: arch=resnet21$"),
        (None, GOOD, 10, r"one of resnet20, .*Received: arch=None$"),
        ([], GOOD, 10, r"Received: arch=\[\]$"),
        (
            *("resnet20", GOOD[:-1], 10),
            r"has 18 slope vectors.*Received: len\(alive\)=17$",
        ),
        ("resnet20", [16, *GOOD, 10], 10, r"Received: len\(alive\)=20$"),
        ("resnet20", [], 10, r"Received: len\(alive\)=0$"),
        ("resnet20", 18, 10, r"a list of .*Received: alive=18$"),
        (
            *("resnet20", [16, 17, *GOOD[2:]], 10),
            r"whole number, 0 to 16. Received: alive\[1\]=17$",
        ),
        ("resnet20", [-1, *GOOD[1:]], 10, r"Received: alive\[0\]=-1$"),
        ("resnet20", [1.5, *GOOD[1:]], 10, r"Received: alive\[0\]=1.5$"),
        ("resnet20", ["a", *GOOD[1:]], 10, r"Received: alive\[0\]=a$"),
        ("resnet20", GOOD, 0, r"at least 1. Received: num_classes=0$"),
        ("resnet20", GOOD, 10.0, r"Received: num_classes=10.0$"),
        ("resnet20", GOOD, None, r"Received: num_classes=None$"),
        ("resnet50", RESNET50, 1001, r"num_classes, 1001. .*=1000$"),
        (
            *("resnet50", [63, *RESNET50[1:]], 1000),
            r"the stem's filters, 64. Received: alive\[0\]=63$",
        ),
    ],
)
@pytest.mark.parametrize("convention", [seed_convention, exact_convention])
def test_bad_input_is_one_line(convention, arch, alive, classes, message):
    with pytest.raises(UserError, match=message) as caught:
        convention(arch, alive, classes)
    assert "\n" not in str(caught.value)
