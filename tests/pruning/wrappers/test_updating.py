"""Masks come by the schedule, and weights are kept to them."""

import keras
import numpy as np
import pytest
import small_nets as nets
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.schedules import ConstantSparsity, PolynomialDecay
from rrelu_tf.pruning.wrappers import PruningPolicy


class Each(keras.callbacks.Callback):
    """Looks at the model after each step."""

    def __init__(self, look):
        super().__init__()
        self.look, self.seen = look, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.look(self.model))


def pruned(model=None, schedule=None, score="l1", **options):
    model = model or nets.dense_net()
    schedule = schedule or nets.growing()
    return nets.compiled(
        rrelu_tf.prune_channels(model, schedule, score, **options)
    )


def test_masks_follow_the_schedule_step_by_step():
    schedule = PolynomialDecay(0.2, 0.75, 2, 8, frequency=3)
    model, each = pruned(schedule=schedule), Each(nets.alive)
    nets.fit(model, 3, each)
    wide, sparsity = [], 0.0
    for step in range(1, 13):
        if step in (2, 5, 8):
            sparsity = schedule(step)[1]
        wide.append(max(round(10 * (1 - sparsity)), 1))
    assert [seen["wide"] for seen in each.seen] == wide
    assert [seen["narrow"] for seen in each.seen][-1] == 2
    assert int(model.get_layer("wide").pruning_step) == 12


def test_the_lowest_scores_go_and_the_threshold_is_the_lowest_that_stays():
    model = pruned(schedule=nets.constant())
    expected = rrelu_tf.score(nets_bare(model), "l1")["wide"]
    nets.fit(model, 1, Each(nets.alive), steps_per_epoch=1)
    stays = nets.masks(model)["wide"]
    assert expected[stays].min() > expected[~stays].max()
    threshold = float(model.get_layer("wide").threshold)
    assert threshold == pytest.approx(expected[stays].min())


def nets_bare(model):
    return rrelu_tf.pruning.wrappers.bare.bare(model)


def dead(model):
    """dict: key -> channels whose kernel and bias are 0."""
    found = {}
    for key in nets.masks(model):
        kernel, bias = model.get_layer(key).layer.get_weights()
        filters = np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(0)
        found[key] = int(((filters == 0) & (bias == 0)).sum())
    return found


def test_hard_masks_hold_and_soft_ones_let_filters_grow_until_the_next_turn():
    # One turn, in step 2; the ends of epochs mask once more.
    schedule = ConstantSparsity(0.5, 2, 2, frequency=1)
    for soft in (False, True):
        model = pruned(schedule=schedule, soft=soft)
        mask = Each(nets.masks)
        begins = Begins(dead)
        nets.fit(model, 2, begins, mask)
        # Seen at the beginnings of steps 1 to 4, and of the next epoch's.
        held = {"wide": 5, "narrow": 4}
        free = {"wide": 0, "narrow": 0}
        between = [free, free] if soft else [held, held]
        assert begins.seen[1:5] == [held, *between, held]
        for seen in mask.seen[1:]:
            np.testing.assert_equal(seen, mask.seen[1])
        assert dead(model) == held


class Begins(Each):
    """Looks at the model before each step, behind the callback."""

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(self.look(self.model))

    def on_train_batch_end(self, batch, logs=None):
        pass


def test_soft_masks_may_change_at_a_turn_and_hard_ones_only_grow():
    for soft in (False, True):
        model = pruned(schedule=nets.constant(), score="random", soft=soft)
        for wrapper in (model.get_layer("wide"), model.get_layer("narrow")):
            wrapper.mask.assign(np.arange(wrapper.mask.shape[0]) % 2)
        before = nets.masks(model)
        nets.fit(model, 1, steps_per_epoch=1)
        same = all(
            np.array_equal(nets.masks(model)[k], before[k]) for k in before
        )
        assert same == (not soft)


@pytest.mark.parametrize("score", rrelu_tf.scoring.methods())
def test_any_score_prunes_and_what_is_left_is_verified(score):
    model = pruned(nets.conv_net(), nets.constant(), score)
    updating = rrelu_tf.UpdatePruningStep(nets.data(), samples=8)
    history = nets.fit(
        model, 1, updating=updating, validation_data=nets.data()
    ).history
    assert all(2 * alive == 8 for alive in nets.alive(model).values())
    small = rrelu_tf.strip_pruning(model)
    nets.compiled(small)
    (loss,) = history["val_loss"]  # of the masked model
    assert small.evaluate(*nets.data(), verbose=0) == pytest.approx(loss, 1e-5)
    assert small.count_params() < nets.conv_net().count_params()


def test_a_depthwise_convolution_has_the_mask_of_what_it_reads():
    i = keras.Input((4, 4, 3))
    x = layers.Conv2D(6, 1, name="expand")(i)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = pruned(keras.Model(i, layers.Dense(3)(x)), nets.constant(0.5))
    nets.fit(model, 1, steps_per_epoch=1)
    masks = nets.masks(model)
    np.testing.assert_array_equal(masks["expand"], masks["depthwise"])
    assert nets.alive(model) == {"expand": 3, "depthwise": 3}
    small = rrelu_tf.strip_pruning(model)
    assert small.get_layer("depthwise").output.shape[-1] == 3


def test_the_global_scope_spares_a_part_of_each_layer():
    def far_apart():
        model = nets.dense_net()
        kernel, bias = model.get_layer("narrow").get_weights()
        model.get_layer("narrow").set_weights([kernel / 1000, bias])
        return model

    model = pruned(far_apart(), nets.constant(0.5), scope="global")
    nets.fit(model, 1, steps_per_epoch=1)
    assert nets.alive(model) == {"wide": 8, "narrow": 1}
    model = pruned(
        far_apart(), nets.constant(0.5), scope="global", min_fraction=0.25
    )
    nets.fit(model, 1, steps_per_epoch=1)
    assert nets.alive(model) == {"wide": 7, "narrow": 2}


def test_layers_of_several_schedules_and_scores_are_pruned_each_by_its_own():
    model = rrelu_tf.prune_channels(nets.conv_net(), nets.constant(), "bn")
    model = pruned(model, nets.constant(0.25), "l1")
    nets.fit(model, 1, steps_per_epoch=1)
    assert nets.alive(model) == {
        "first": 6,
        "norm": 4,
        "depthwise": 6,
        "project": 6,
    }


def test_layers_that_are_wrapped_later_begin_later():
    class Narrow(PruningPolicy):
        def allow_pruning(self, layer):
            return layer.name == "narrow"

    schedule = nets.growing(0.5)
    model = pruned(schedule=schedule, pruning_policy=Narrow())
    nets.fit(model)
    model = pruned(model, schedule)
    each = Each(lambda model: {k: x.steps() for k, x in wrappers(model)})
    nets.fit(model, 1, each, steps_per_epoch=2)
    assert each.seen == [{"wide": 1, "narrow": 5}, {"wide": 2, "narrow": 6}]
    wide, narrow = schedule(2)[1], schedule(6)[1]
    assert nets.alive(model) == {
        "wide": round(10 * (1 - wide)),
        "narrow": round(8 * (1 - narrow)),
    }


def wrappers(model):
    return rrelu_tf.pruning.wrappers.bare.wrappers(model).items()


def test_a_sparsity_that_the_floor_does_not_allow_is_refused_at_once():
    model = pruned(schedule=nets.growing(0.75), min_fraction=0.5)
    with pytest.raises(UserError, match="5 of 10 .* Received: sparsity=0.75"):
        nets.fit(model)


def test_training_without_the_callback_is_an_error_again_and_again():
    model = pruned()
    for _ in range(2):
        assert_needs_the_callback(model)
        nets.fit(model)
    model.evaluate(*nets.data(), verbose=0)


def assert_needs_the_callback(model):
    with pytest.raises(UserError) as caught:
        model.fit(*nets.data(), verbose=0)
    said = str(caught.value)
    assert "callbacks=[rrelu_tf.UpdatePruningStep()]" in said
    assert said.endswith("Received: callbacks=none of this kind")
    assert "\n" not in said


class Breaks(keras.callbacks.Callback):
    """Ends training by an exception."""

    def __init__(self, place):
        super().__init__()
        setattr(self, place, self._break)

    def _break(self, *args, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "place", ["on_train_begin", "on_train_batch_end", "on_epoch_end"]
)
def test_it_is_an_error_after_training_that_was_broken_off(place):
    model = pruned()
    with pytest.raises(KeyboardInterrupt):
        nets.fit(model, 1, Breaks(place))
    before = int(model.get_layer("wide").pruning_step)
    for _ in range(2):
        assert_needs_the_callback(model)
    nets.fit(model)
    after = int(model.get_layer("wide").pruning_step)
    assert after == before + nets.BATCHES


def test_the_callback_refuses_a_model_that_it_cannot_prune():
    with pytest.raises(UserError, match="Received: model=dense_net"):
        nets.fit(nets.compiled(nets.dense_net()))
    head = rrelu_tf.prune_channels(layers.Dense(3), nets.constant())
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Flatten(), head], name="head"
    )
    with pytest.raises(UserError, match="Received: model=head"):
        nets.fit(nets.compiled(model))


def test_two_of_them_would_count_each_step_twice_and_are_refused():
    model = pruned()
    callbacks = [rrelu_tf.UpdatePruningStep() for _ in range(2)]
    with pytest.raises(UserError, match="Received: UpdatePruningStep=sev"):
        model.fit(*nets.data(), verbose=0, callbacks=callbacks)
    model.fit(*nets.data(), verbose=0, callbacks=callbacks[:1])


def test_several_steps_in_one_execution_are_refused():
    model = rrelu_tf.prune_channels(nets.dense_net(), nets.constant())
    nets.compiled(model, steps_per_execution=2)
    with pytest.raises(UserError, match="steps_per_execution=1. Received: 2"):
        nets.fit(model)


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ({"score": "fisher"}, "data=None"),
        ({"score_options": {"nope": 1}}, "nope=1"),
        ({"score_options": {"normalize": "net"}}, "normalize=net"),
    ],
)
def test_what_no_score_comes_of_is_refused_before_training(given, received):
    model = pruned(schedule=nets.constant(begin=100), **given)
    with pytest.raises(UserError, match=f"Received: {received}"):
        nets.fit(model)
    assert int(model.get_layer("wide").pruning_step) == -1


def test_a_list_of_layers_makes_a_model_whose_output_stays_whole():
    stack = [
        layers.Flatten(),
        layers.Dense(10, name="wide"),
        layers.Dense(3, name="logits"),
    ]
    stack = rrelu_tf.prune_channels(stack, nets.constant())
    model = nets.compiled(keras.Sequential([keras.Input((4, 4, 3)), *stack]))
    nets.fit(model, 1, steps_per_epoch=1)
    assert nets.alive(model) == {"wide": 5, "logits": 3}
    small = rrelu_tf.strip_pruning(model)
    assert small.get_layer("wide").units == 5


def test_a_loop_of_ones_own_prunes_as_fit_does():
    x, y = nets.data()
    fitted = pruned(schedule=nets.constant())
    own = nets.compiled(keras.models.clone_model(fitted))
    own.set_weights(fitted.get_weights())
    nets.fit(fitted)
    updating = rrelu_tf.UpdatePruningStep()
    updating.set_model(own)
    updating.on_train_begin()
    updating.on_epoch_begin(0)
    for at in range(0, len(x), 8):
        updating.on_train_batch_begin(-1)
        own.train_on_batch(x[at : at + 8], y[at : at + 8])
    updating.on_epoch_end(-1)
    updating.on_train_end()
    for ours, theirs in zip(own.weights, fitted.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
