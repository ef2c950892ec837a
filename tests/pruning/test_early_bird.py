"""Early-bird tickets, on tiny nets whose masks are known."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.pruning import EarlyBird, early_bird


class Scripted(keras.callbacks.Callback):
    """Gives a net's norm the scales that a script has for each epoch."""

    def __init__(self, script):
        super().__init__()
        self.script = script

    def on_epoch_end(self, epoch, logs=None):
        gamma = self.model.get_layer("norm").gamma
        gamma.assign(self.script[epoch])


def net(classes=2):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(10, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(classes, name="head")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def images():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(16, 4, 4, 1)).astype("float32")
    return x, (x.mean((1, 2, 3)) > 0).astype("int32")


def fit(model, callbacks, epochs, **options):
    return model.fit(
        *images(),
        epochs=epochs,
        batch_size=8,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **options,
    )


def scales(*small):
    """Scales of ten channels, of which those named are the small ones."""
    return np.where(np.isin(np.arange(10), small), 0.1, 1.0)


# Masks of 10 channels without 2: one channel exchanged is 0.2 apart.
A, B, C = scales(0, 1), scales(0, 2), scales(3, 4)


@pytest.mark.parametrize(
    "script, queue, limit, drawn",
    [
        ([A] * 6, 5, 0.1, 5),
        ([B, A, A, A, A, A, A], 5, 0.1, 6),
        ([A, B, A, A, A, A, A], 5, 0.1, 7),
        ([A, B, A, B, A], 5, 0.3, 5),
        ([A, B, A, B, A], 5, 0.2, None),
        ([A, C, A], 2, 0.5, 2),
        ([A, C, B], 3, 0.4, None),
        ([A, A, A, A], 5, 0.1, None),
    ],
)
def test_a_ticket_is_drawn_where_a_full_queue_of_masks_is_close(
    script, queue, limit, drawn
):
    bird = EarlyBird("bn", sparsity=0.2, queue=queue, distance=limit)
    fit(net(), [Scripted(script), bird], len(script))
    assert bird.epoch == drawn
    if drawn is None:
        assert bird.mask is None
    else:
        kept = script[drawn - 1] > 0.5
        np.testing.assert_array_equal(bird.mask["norm"], kept)


def test_distances_are_shares_of_all_channels_and_reach_the_logs():
    bird = EarlyBird("bn", sparsity=0.2, queue=3)
    logs = fit(net(), [Scripted([A, B, C, C]), bird], 4).history
    assert bird.distances == {1: None, 2: 0.2, 3: 0.4, 4: 0.4}
    assert logs["early_bird_distance"] == [0.2, 0.4, 0.4]


def test_tensorboard_shows_the_distance(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    bird = EarlyBird("bn", sparsity=0.2, queue=3)
    shown = keras.callbacks.TensorBoard(tmp_path)
    fit(net(), [Scripted([A, B, C]), bird, shown], 3)
    events = event_accumulator.EventAccumulator(str(tmp_path / "train"))
    tensors = events.Reload().Tensors("epoch_early_bird_distance")
    found = [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in tensors]
    assert found == [(1, pytest.approx(0.2)), (2, pytest.approx(0.4))]


def test_stop_ends_training_at_the_draw():
    bird = EarlyBird("bn", sparsity=0.2, queue=2, stop=True, examples=16)
    logs = fit(net(), [Scripted([A, B, B, B, B]), bird], 5).history
    assert len(logs["loss"]) == bird.epoch == 3
    found = bird.summary()
    macs = 2 * 2 * 9 * 10 + 40 * 2
    assert found["training_flops"] == 3 * 2 * macs * 16 * 5
    assert found["training_flops_saved"] == 3 * 2 * macs * 16 * 2
    assert json.loads(json.dumps(found)) == found


def test_a_fixed_schedule_draws_there_whatever_the_distances_are():
    bird = EarlyBird("bn", sparsity=0.2, at=2, stop=True)
    logs = fit(net(), [Scripted([A, C, A]), bird], 3).history
    assert len(logs["loss"]) == bird.epoch == 2
    np.testing.assert_array_equal(bird.mask["norm"], C > 0.5)


def test_a_fixed_schedule_scores_only_there(monkeypatch):
    calls = []
    score = early_bird.score
    monkeypatch.setattr(
        early_bird, "score", lambda *args: calls.append(1) or score(*args)
    )
    bird = EarlyBird("bn", sparsity=0.2, at=3)
    fit(net(), [Scripted([A, B, C, A]), bird], 4)
    assert len(calls) == 2  # the trial before training, and epoch 3
    assert bird.distances == {3: None}


def test_more_classes_than_a_few_examples_are_of():
    """The trial before training, too, needs an example of every class."""
    model = net(classes=130)
    x = np.repeat(images()[0], 10, axis=0)
    data = (x, np.arange(160) % 130)
    bird = EarlyBird("grasp", sparsity=0.3, data=data, at=1)
    fit(model, [bird], 1)
    assert bird.mask["conv"].sum() == 7


@pytest.mark.parametrize("method", rrelu_tf.scoring.methods())
def test_any_score_draws_what_select_draws(method):
    if method == "slope":
        model = rrelu_tf.rotate(net())
        model.compile("sgd", net().loss)
    else:
        model = net()
    bird = EarlyBird(method, sparsity=0.3, data=images(), at=2)
    fit(model, [bird], 2)
    scores = rrelu_tf.score(model, method, images())
    wanted = rrelu_tf.select(scores, sparsity=0.3, model=model)
    assert bird.mask.keys() == wanted.keys()
    for key, keep in wanted.items():
        np.testing.assert_array_equal(bird.mask[key], keep)
    assert rrelu_tf.strip(rrelu_tf.mask(model, bird.mask)).count_params() < (
        model.count_params()
    )


def test_training_that_is_resumed_draws_what_uninterrupted_training_does(
    tmp_path,
):
    def bird(name, **options):
        given = {"sparsity": 0.3, "data": images(), "distance": 0.35}
        file = tmp_path / f"{name}.json"
        return EarlyBird("fisher", queue=3, backup=file, **given | options)

    whole, model = bird("whole"), net()
    fit(model, [whole], 6)

    class Killed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:  # after the masks of epoch 4, before its backup
                raise KeyboardInterrupt

    first = bird("parts")
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(net(), [first, Killed(), backup], 6)
    assert list(first.distances) == [1, 2, 3, 4]
    second, resumed = bird("parts"), net()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    fit(resumed, [second, backup], 6)
    assert list(second.distances) == [1, 2, 3, 4, 5, 6]
    assert second.distances == whole.distances
    assert second.epoch == whole.epoch
    assert (tmp_path / "parts.json").read_text() == (
        tmp_path / "whole.json"
    ).read_text()


@pytest.mark.parametrize(
    "options, rule",
    [
        ({"score": "bm"}, "score=bm$"),
        ({"sparsity": 0.0}, "sparsity=0.0$"),
        ({"sparsity": 1.0}, "sparsity=1.0$"),
        ({"at": 0}, "at=0$"),
        ({"queue": 1}, "queue=1$"),
        ({"distance": 0.0}, "distance=0.0$"),
    ],
)
def test_arguments_that_break_their_rule_are_refused(options, rule):
    with pytest.raises(UserError, match=rule):
        EarlyBird(**{"sparsity": 0.5} | options)


@pytest.mark.parametrize(
    "options, rule",
    [
        ({"score": "fisher"}, "data=None$"),
        ({"score": "slope"}, "No layer of the model has a slope score"),
        ({"sparsity": 0.9, "min_fraction": 0.5}, "sparsity=0.9$"),
    ],
)
def test_what_cannot_be_drawn_is_found_before_training(options, rule):
    model = net()
    before = model.get_weights()
    with pytest.raises(UserError, match=rule):
        fit(model, [EarlyBird(**{"sparsity": 0.5} | options)], 1)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


BACKED_UP = {
    "score": "bn",
    "sparsity": 0.5,
    "samples": 10_000,
    "protocol": None,
    "selection": {},
    "widths": {},
    "masks": {},
}


@pytest.mark.parametrize(
    "content, rule",
    [
        ('{"masks": 3}', "must be readable.*masks.json$"),
        ("{", "must be readable.*masks.json$"),
        (
            '{"score": "bn", "sparsity": 0.4, "widths": {}, "masks": {}}',
            "by another sparsity, 0.4. .*sparsity=0.5$",
        ),
        *(
            (json.dumps(BACKED_UP | {name: value}), f"by another {name}, ")
            for name, value in (
                ("samples", 10),
                ("protocol", "seed"),
                ("selection", {"scope": "layer"}),
            )
        ),
    ],
)
def test_a_backup_of_something_else_is_refused(tmp_path, content, rule):
    file = tmp_path / "masks.json"
    file.write_text(content)
    with pytest.raises(UserError, match=rule):
        fit(net(), [EarlyBird(sparsity=0.5, backup=file)], 1)
