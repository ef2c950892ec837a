import subprocess
import sys

import pytest

import rrelu_tf

NAMES = [
    "analysis.exact_convention",
    "analysis.seed_convention",
    "attacks.evaluate",
    "attacks.fgsm",
    "attacks.local_lipschitz",
    "attacks.pgd",
    "attacks.square",
    "Backup",
    "EarlyBird",
    "rotate",
    "explain",
    "export.quantize_aware",
    "export.to_tf_keras",
    "export.write_int8",
    "fold",
    "OrthogonalitySummaries",
    "analysis.orthogonality",
    "initializers.Rotation",
    "kept",
    "layers.AugmentedConv2D",
    "layers.BatchNormalization",
    "layers.ChannelGather",
    "layers.Conv2D",
    "layers.DepthwiseConv2D",
    "layers.RGELU",
    "layers.RReLU",
    "layers.RSiLU",
    "layers.ZeroPadding2D",
    "mask",
    "models.create",
    "models.load_seed_weights",
    "models.names",
    "orthogonalize",
    "profile",
    "prune_channels",
    "pruning.schedules.ConstantSparsity",
    "pruning.schedules.PolynomialDecay",
    "pruning.schedules.PruningSchedule",
    "pruning.wrappers.PruneChannels",
    "pruning.wrappers.PruningPolicy",
    "PruningSummaries",
    "recalibrate",
    "regularizers.OrthoReg",
    "score",
    "score_agreement",
    "pruning.round_ratios",
    "pruning.seed_parameters",
    "pruning.seed_pruned",
    "pruning.seed_rounds",
    "scoring.methods",
    "scoring.scores",
    "select",
    "strip",
    "strip.Equivalence",
    "strip.NotEquivalent",
    "strip.register",
    "strip_pruning",
    "UpdatePruningStep",
    "verify",
]


def run(code, folder):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_callable(name):
    found = rrelu_tf
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)


def test_everything_that_dir_lists_is_there():
    for name in dir(rrelu_tf):
        assert getattr(rrelu_tf, name) is not None
    assert {"strip", "mask", "models", "errors"} <= set(dir(rrelu_tf))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'rrelu_tf' has no .*'strop'"):
        rrelu_tf.strop  # noqa: B018


def test_importing_the_package_does_not_load_tensorflow(repository):
    code = (
        "import sys, rrelu_tf; dir(rrelu_tf); "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    )
    done = run(code, repository)
    assert done.returncode == 0, done.stderr


def test_strip_is_a_package_and_a_function(repository):
    code = (
        "from rrelu_tf import strip; from rrelu_tf.strip import verify; "
        "import rrelu_tf.strip.rules; assert callable(strip); "
        "assert callable(rrelu_tf.strip) and callable(verify)"
    )
    done = run(code, repository)
    assert done.returncode == 0, done.stderr


def test_saved_models_load_once_the_layers_are_imported():
    import keras

    from rrelu_tf.layers import RReLU

    name = keras.saving.get_registered_name(RReLU)
    assert name == "rrelu_tf>RReLU"
