"""What is wrapped, and what is refused."""

import keras
import numpy as np
import pytest
import small_nets as nets
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RReLU
from rrelu_tf.pruning.schedules import ConstantSparsity
from rrelu_tf.pruning.wrappers import PruneChannels, PruningPolicy


def wrapped_names(model):
    return list(nets.masks(model))


@pytest.mark.parametrize(
    ("score", "names"),
    [
        ("l1", ["first", "depthwise", "project"]),
        ("fisher", ["first", "depthwise", "project"]),
        ("bn", ["norm"]),
        ("tfo", ["norm"]),
        ("slope", ["relu"]),
    ],
)
def test_the_layers_that_have_the_score_are_wrapped(score, names):
    model = nets.conv_net()
    pruned = rrelu_tf.prune_channels(model, nets.constant(), score)
    assert wrapped_names(pruned) == names
    assert wrapped_names(model) == []
    assert [x.name for x in pruned.layers] == [x.name for x in model.layers]


def test_a_wrapped_model_computes_the_same():
    model, x = nets.conv_net(), nets.data()[0]
    pruned = rrelu_tf.prune_channels(model, nets.constant())
    np.testing.assert_array_equal(pruned(x), model(x))
    assert not pruned.compiled
    assert len(pruned.trainable_weights) == len(model.trainable_weights)


def test_wrapped_layers_stay_as_they_are():
    model = rrelu_tf.prune_channels(nets.conv_net(), nets.constant(), "bn")
    both = rrelu_tf.prune_channels(model, nets.constant(0.25), "l1")
    assert wrapped_names(both) == ["first", "norm", "depthwise", "project"]
    assert both.get_layer("norm").score == "bn"
    assert both.get_layer("norm").pruning_schedule.target_sparsity == 0.5


def test_layers_inside_nested_models_are_wrapped():
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, name="deep")], name="inner"
    )
    i = keras.Input((6,))
    model = keras.Model(i, layers.Dense(2)(inner(i)))
    pruned = rrelu_tf.prune_channels(model, nets.constant())
    assert wrapped_names(pruned) == ["inner/deep"]


def test_a_layer_is_wrapped_by_itself():
    layer = layers.Dense(4, dtype="float64", name="alone")
    made = rrelu_tf.prune_channels(layer, nets.constant())
    assert isinstance(made, PruneChannels)
    assert (made.name, made.layer, made.compute_dtype) == (
        "alone",
        layer,
        "float64",
    )
    assert rrelu_tf.prune_channels(made, nets.constant()) is made
    made.build((None, 3))
    assert made.mask.shape == (4,)
    assert int(made.pruning_step) == -1


def test_of_a_list_the_layers_with_the_score_are_wrapped():
    stack = [keras.Input((3,)), layers.Dense(4), layers.ReLU(), layers.Dense(2)]
    with pytest.raises(UserError, match="element=KerasTensor"):
        rrelu_tf.prune_channels(stack, nets.constant())
    made = rrelu_tf.prune_channels(stack[1:], nets.constant())
    assert [isinstance(x, PruneChannels) for x in made] == [True, False, True]


def test_the_default_schedule_is_tfmots():
    made = rrelu_tf.prune_channels(layers.Dense(4))
    assert made.pruning_schedule.get_config() == {
        "class_name": "ConstantSparsity",
        "config": {
            "target_sparsity": 0.5,
            "begin_step": 0,
            "end_step": -1,
            "frequency": 100,
        },
    }


class Narrow(PruningPolicy):
    def allow_pruning(self, layer):
        return layer.name == "narrow"


class Never(Narrow):
    def ensure_model_supports_pruning(self, model):
        raise UserError(f"Never. Received: model={model.name}")


def test_a_policy_leaves_layers_out():
    model = nets.dense_net()
    pruned = rrelu_tf.prune_channels(
        model, nets.constant(), pruning_policy=Narrow()
    )
    assert wrapped_names(pruned) == ["narrow"]
    with pytest.raises(UserError, match="Never"):
        rrelu_tf.prune_channels(model, pruning_policy=Never())


@pytest.mark.parametrize(("policy", "received"), [("x", "x"), (1, "int")])
def test_what_is_no_policy_is_one_line(policy, received):
    model = nets.dense_net()
    for to_prune in (model, model.layers[1], model.layers[1:2]):
        with pytest.raises(UserError) as caught:
            rrelu_tf.prune_channels(to_prune, pruning_policy=policy)
        message = str(caught.value)
        assert message.endswith(f"Received: pruning_policy={received}")
        assert "\n" not in message


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("to_prune", "options", "received"),
    [
        ("model", {}, "to_prune=str"),
        (Subclassed(), {}, "model=Subclassed"),
        (layers.ReLU(name="r"), {}, "r=ReLU"),
        (layers.Dense(2, name="d"), {"score": "bn"}, "d=Dense"),
        (layers.Dense(2, name="d"), {"score": "slope"}, "d=Dense"),
        (RReLU(name="r"), {"score": "l1"}, "r=RReLU"),
        (layers.Dense(2), {"score": "l3"}, "score=l3"),
        (layers.Dense(2), {"scope": "net"}, "scope=net"),
        (layers.Dense(2), {"min_fraction": 1}, "min_fraction=1"),
        (layers.Dense(2), {"min_fraction": "few"}, "min_fraction=few"),
        (layers.Dense(2), {"soft": 1}, "soft=1"),
        (layers.Dense(2), {"score_options": "x"}, "score_options=x"),
        (layers.Dense(2), {"pruning_schedule": 0.5}, "pruning_schedule=0.5"),
        ([layers.ReLU()], {}, "list of 1 layers"),
        ([layers.Dense(2), "x"], {}, "element=str"),
    ],
)
def test_a_wrong_argument_is_one_line(to_prune, options, received):
    with pytest.raises(UserError) as caught:
        rrelu_tf.prune_channels(to_prune, **options)
    assert str(caught.value).endswith(f"Received: {received}")
    assert "\n" not in str(caught.value)


def test_a_model_without_anything_to_prune_is_refused():
    i = keras.Input((3,))
    model = keras.Model(i, layers.Dense(2)(i), name="head")
    with pytest.raises(UserError, match="Received: model head"):
        rrelu_tf.prune_channels(model, ConstantSparsity(0.5, 0))
