"""TFMOT itself, on tf_keras, beside us, on Keras 3: in one other process."""

import json
import pathlib
import re
import tempfile

import child
import numpy as np
import pytest

import rrelu_tf

ROOT = pathlib.Path(__file__).resolve().parents[3]
UNITS, STEPS = 30, 12
# A channel more or less is a matter of the last bit in some of these steps.
MANY, WIDTHS = 1000, (3, 100, 500, 512)


def schedules(home):
    """Schedules of one of the two libraries."""
    decay, constant = home.PolynomialDecay, home.ConstantSparsity
    return {
        "every step": decay(0.1, 0.83, 0, 10, frequency=1),
        "every third": decay(0.0, 0.5, 2, 11, power=1, frequency=3),
        "constant": constant(0.45, 3, frequency=2),
        "ended": constant(0.9, 2, 4, frequency=2),
    }


def net(keras, wrap=lambda layer: layer):
    """One hidden layer of one weight a channel: as many zeros as channels."""
    hidden = wrap(keras.layers.Dense(UNITS, use_bias=False, name="hidden"))
    return keras.Sequential(
        [keras.Input((1,)), hidden, keras.layers.Dense(1, name="out")]
    )


def trained(keras, model, updating, mask):
    """Sparsity of the mask after each step of training."""
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(1 - float(np.mean(mask(model.layers[0]))))

    x = np.random.default_rng(0).normal(size=(STEPS, 1)).astype("float32")
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=1, callbacks=[updating, Look()], verbose=0)
    return seen


def beside():
    """What both libraries do, for the tests below."""
    import keras
    import tensorflow_model_optimization as tfmot
    import tf_keras

    from rrelu_tf.pruning import schedules as ours

    theirs = tfmot.sparsity.keras
    found = {
        "names": [name for name in dir(theirs) if not name.startswith("_")],
        "says": {},
        "reached": {},
        "configs": {},
    }
    twins = schedules(ours)
    for name, schedule in schedules(theirs).items():
        found["says"][name] = [
            [
                [bool(turn), float(sparsity)]
                for turn, sparsity in (
                    ours.asked(one, step) for step in range(STEPS)
                )
            ]
            for one in (schedule, twins[name], ours.get(schedule.get_config()))
        ]
        found["configs"][name] = [
            schedule.get_config(),
            twins[name].get_config(),
        ]
        found["reached"][name] = [
            trained(
                tf_keras,
                net(
                    tf_keras,
                    lambda layer, schedule=schedule: theirs.prune_low_magnitude(
                        layer, schedule
                    ),
                ),
                theirs.UpdatePruningStep(),
                lambda layer: layer.pruning_vars[0][1].numpy(),
            ),
            trained(
                keras,
                rrelu_tf.prune_channels(net(keras), schedule),
                rrelu_tf.UpdatePruningStep(),
                lambda layer: layer.mask.numpy(),
            ),
        ]
    found["kept"] = {
        power: [kept(long(theirs, power)), kept(long(ours, power))]
        for power in (1, 1.5, 3)
    }
    found["refused"] = refused(theirs, tf_keras)
    found["policy"] = said(
        lambda: rrelu_tf.prune_channels(
            net(keras), pruning_policy=theirs.PruneForLatencyOnXNNPack()
        )
    )
    found["files"] = files(theirs, tf_keras)
    return found


def long(home, power):
    """A decay of many steps."""
    return home.PolynomialDecay(0.0, 0.75, 0, MANY, power, frequency=1)


def kept(schedule):
    """For each width, the channels that stay after each step."""
    from rrelu_tf.pruning import schedules
    from rrelu_tf.pruning.wrappers.choosing import staying

    asked = [schedules.asked(schedule, n + 1)[1] for n in range(MANY)]
    return [[staying(width, gone) for gone in asked] for width in WIDTHS]


def refused(theirs, tf_keras):
    """What is said of models and layers of Keras 2: without, with TFMOT's."""
    from rrelu_tf.export import portable, saved_model

    model = net(tf_keras)
    model.compile("sgd", "mse")
    wrapped = theirs.prune_low_magnitude(model)
    wrapped.compile("sgd", "mse")
    updating = rrelu_tf.UpdatePruningStep()
    x = np.zeros((1, 1))
    folder = tempfile.gettempdir()  # nothing is written there

    def fit(callback, of=model):
        return lambda: of.fit(x, x, callbacks=[callback])

    calls = {
        "plain": {
            "prune_channels": lambda: rrelu_tf.prune_channels(model),
            "kept": lambda: rrelu_tf.kept(model),
            "strip": lambda: rrelu_tf.strip(model),
            "score": lambda: rrelu_tf.score(model, "l1"),
            "score of the authors": lambda: rrelu_tf.score(
                model, "l1", protocol="seed"
            ),
            "rounds": lambda: rrelu_tf.pruning.seed_rounds(model, 0.5),
            "seed_pruned": lambda: rrelu_tf.pruning.seed_pruned(model, {}),
            "orthogonalize": lambda: rrelu_tf.orthogonalize(
                model, protocol="seed"
            ),
            "compression": lambda: rrelu_tf.analysis.compression(model, model),
            "profile": lambda: rrelu_tf.profile(model),
            "restore": lambda: rrelu_tf.Backup(folder).restore(model),
            "Backup": fit(rrelu_tf.Backup(folder)),
            "EarlyBird": fit(rrelu_tf.EarlyBird(sparsity=0.5)),
            "Orthogonality": fit(rrelu_tf.OrthogonalitySummaries(folder)),
            "portable": lambda: portable.write(
                model, "out", [], preprocessing=Images
            ),
            "saved_model": lambda: saved_model.write(
                model, "out", preprocessing=Images, class_names=["only"]
            ),
        },
        "wrapped": {
            "prune_channels": lambda: rrelu_tf.prune_channels(wrapped),
            "of a layer": lambda: rrelu_tf.prune_channels(wrapped.layers[0]),
            "of a list": lambda: rrelu_tf.prune_channels([wrapped.layers[0]]),
            "strip_pruning": lambda: rrelu_tf.strip_pruning(wrapped),
            "mask": lambda: rrelu_tf.mask(wrapped, {}),
            "fit": fit(updating, wrapped),
            "TensorBoard": fit(rrelu_tf.PruningSummaries("log"), wrapped),
        },
    }
    return {
        kind: {name: said(call) for name, call in of.items()}
        for kind, of in calls.items()
    }


class Images:
    """Of the size that `net` takes."""

    image_shape = (1,)


def said(call):
    """The line that a call is refused with; None if it is not."""
    try:
        call()
    except rrelu_tf.errors.UserError as error:
        return str(error)


def files(theirs, tf_keras):
    """What becomes of files: of what TFMOT wrapped, and stripped again."""
    from rrelu_tf.models import keras_file

    wrapped = theirs.prune_low_magnitude(net(tf_keras))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        wrapped.save(path)
        refused = said(lambda: keras_file.load(path))
        stripped = theirs.strip_pruning(wrapped)
        stripped.save(path)
        x = np.ones((2, 1), "float32")
        same = np.allclose(keras_file.load(path)(x), stripped(x))
    return {"refused": refused, "same": same}


@pytest.fixture(scope="module")
def found():
    pytest.importorskip("tf_keras", reason="TFMOT's Keras 2 is not installed")
    return child.result(child.piped(__file__))


@pytest.mark.parametrize("name", schedules(rrelu_tf.pruning.schedules))
def test_the_same_schedule_reaches_the_same_sparsity_in_every_step(found, name):
    zeros, channels = found["reached"][name]
    assert len(zeros) == STEPS
    assert max(zeros) > 0.4
    np.testing.assert_allclose(channels, zeros, atol=1e-6)


@pytest.mark.parametrize("name", schedules(rrelu_tf.pruning.schedules))
def test_our_schedules_say_what_tfmots_say(found, name):
    theirs, ours, from_config = found["says"][name]
    assert ours == theirs
    assert from_config == theirs
    theirs, ours = found["configs"][name]
    assert ours == theirs


def test_our_decay_keeps_tfmots_number_of_channels_in_every_step(found):
    assert len(found["kept"]) == 3
    for theirs, ours in found["kept"].values():
        assert ours == theirs


@pytest.mark.parametrize("kind", ["plain", "wrapped"])
def test_what_is_of_keras_2_is_refused_in_one_line(found, kind):
    for name, said in found["refused"][kind].items():
        assert said is not None, name
        assert "this is of Keras 2 (tf_keras): " in said
        assert ("call tfmot.sparsity.keras.strip_pruning" in said) == (
            kind == "wrapped"
        )
        assert re.search(
            r"Received: \w+=(tf_keras|tensorflow_m\w+)\.\w+$", said
        )
        assert "\n" not in said


def test_what_is_to_be_done_is_what_the_function_asks_for(found):
    plain, wrapped = found["refused"]["plain"], found["refused"]["wrapped"]
    assert " and call this again. " in plain["profile"]
    assert " and call rrelu_tf.strip. " in plain["kept"]
    assert " and train that one. " in plain["Backup"]
    for name in ("strip_pruning", "fit", "TensorBoard"):
        assert " and call rrelu_tf.prune_channels. " in wrapped[name]


def test_tfmots_policy_is_refused_in_one_line(found):
    assert found["policy"].endswith(
        "Received: pruning_policy=PruneForLatencyOnXNNPack"
    )
    assert "\n" not in found["policy"]


def test_a_file_of_what_tfmot_wrapped_is_refused_and_the_advice_is_good(found):
    assert "Keras 2 (tf_keras)" in found["files"]["refused"]
    assert found["files"]["refused"].endswith("model.keras")
    assert found["files"]["same"]


def table():
    """TFMOT's name -> ours, of the README's table."""
    text = (ROOT / "README.md").read_text()
    section = text.split("## From TFMOT")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE)
    return dict(rows)


def test_the_readme_says_what_becomes_of_each_of_tfmots_names(found):
    assert set(table()) == set(found["names"])


def test_the_names_in_the_table_are_there():
    for theirs, cell in table().items():
        names = re.findall(r"`(rrelu_tf[\w.]*)`", cell)
        assert names or cell == "none", theirs
        for name in names:
            part = rrelu_tf
            for step in name.split(".")[1:]:
                part = getattr(part, step)


if __name__ == "__main__":
    print(json.dumps(beside()))
