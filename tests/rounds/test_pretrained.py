"""A pretrained net is the recipe's architecture, whatever its weights fit."""

import dataclasses
import types

import keras
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.rounds import pretrained
from rrelu_tf.training.recipe import Recipe

DATA = types.SimpleNamespace(num_classes=3, image_shape=(8, 8, 1))
QUARTER = ("width=0.25",)


def net(arch="resnet8", **options):
    return models.create(arch, num_classes=3, input_shape=(8, 8, 1), **options)


def load(tmp_path, model, **options):
    file = tmp_path / "net.keras"
    model.save(file)
    recipe = Recipe(**{"arch": "resnet8", "activation": "relu"} | options)
    return pretrained.load(file, recipe, DATA, "last")


@pytest.mark.parametrize("made", ["plain", "unfused", "with OrthoReg"])
def test_the_architecture_is_taken_however_it_was_trained(tmp_path, made):
    model = net(activation="relu", width=0.25, fused=made != "unfused")
    if made == "with OrthoReg":
        model = rrelu_tf.orthogonalize(model, bias=True)
    found = load(tmp_path, model, arch_options=QUARTER)
    assert found.model.name == "resnet8"


@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_another_activation_is_refused(tmp_path, activation):
    model = net(activation="relu", width=0.25)
    options = {"activation": activation, "arch_options": QUARTER}
    with pytest.raises(UserError, match=f"with {activation}.* computes some"):
        load(tmp_path, model, **options)


def test_another_order_of_layers_is_refused(tmp_path):
    model = models.create("vgg13", num_classes=3, activation="relu")
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign_add(0.1 * keras.ops.ones_like(layer.beta))
    file = tmp_path / "net.keras"
    model.save(file)
    data = types.SimpleNamespace(num_classes=3, image_shape=(32, 32, 3))
    recipe = Recipe(arch="vgg13", activation="relu")
    pretrained.load(file, recipe, data, "last")
    first = dataclasses.replace(recipe, arch_options=("bn_first=1",))
    with pytest.raises(UserError, match="computes something else"):
        pretrained.load(file, first, data, "last")


def test_a_pruned_one_is_called_so(tmp_path):
    model = net(activation="relu", width=0.25)
    keep = rrelu_tf.select(rrelu_tf.score(model, "l1"), sparsity=0.5)
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    with pytest.raises(UserError, match="what is given is pruned already"):
        load(tmp_path, small, arch_options=QUARTER)
