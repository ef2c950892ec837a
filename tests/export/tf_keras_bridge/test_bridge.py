"""to_tf_keras: the same function in tf_keras, or one line that says why not."""

import os
import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.export import to_tf_keras
from rrelu_tf.strip import keras_2

# One member of each family, small, with an activation that it is studied with.
FAMILIES = {
    "fcnn": ("rrelu", {}),
    "resnet8": ("rrelu", {"width": 0.25}),
    "wrn_10_1": ("rrelu", {}),
    "vit_tiny": ("rgelu", {"depth": 1}),
}


def create(name, activation, **options):
    """A net whose normalisations have statistics that are not trivial."""
    model = rrelu_tf.models.create(
        name, num_classes=3, activation=activation, **options
    )
    generator = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in ("moving_mean", "beta"):
                weight.assign(generator.normal(size=weight.shape) / 10)
            elif weight.name in ("moving_variance", "gamma"):
                weight.assign(generator.uniform(0.5, 2, weight.shape))
    return model


def smaller(model, activation):
    """Half of the channels stripped, by slopes or by random filters."""
    method = "slope" if activation in ("rrelu", "rgelu", "rsilu") else "l1"
    scores = rrelu_tf.score(model, method)
    keep = rrelu_tf.select(scores, sparsity=0.5, model=model)
    return rrelu_tf.strip(rrelu_tf.mask(model, keep))


def outputs(model, images):
    return np.asarray(model(images, training=False))


def same(model, twin):
    """Whether two models agree on images that to_tf_keras did not draw."""
    shape = (4, *model.input_shape[1:])
    images = np.random.default_rng(7).normal(size=shape).astype("float32")
    expected = outputs(model, images)
    difference = np.abs(outputs(twin, images) - expected).max()
    return difference <= 1e-5 * np.abs(expected).max()


def of(function, shape=(4, 4, 8)):
    """A model of one input."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


@pytest.mark.parametrize("name", FAMILIES)
def test_dense_stripped_and_folded_nets_compute_the_same(name):
    activation, options = FAMILIES[name]
    model = create(name, activation, **options)
    stripped = smaller(model, activation)
    for source in (model, stripped, rrelu_tf.fold(stripped)):
        twin = to_tf_keras(source)
        assert keras_2.is_tf_keras(twin)
        assert same(source, twin)
        assert twin.name == source.name
        assert twin.count_params() == source.count_params()


def shallowest():
    """The names that differ by more than their numbers, smallest first."""

    def numbers(name):
        return [int(number) for number in re.findall(r"\d+", name)]

    found = {"bottlenecks": "resnet50"}
    for name in sorted(rrelu_tf.models.names(), key=numbers):
        found.setdefault(re.sub(r"\d+", "#", name), name)
    return sorted(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", shallowest())
def test_every_family_computes_the_same(name):
    options = {"depth": 1} if name.startswith("vit") else {}
    model = create(name, "rrelu", **options)
    stripped = smaller(model, "rrelu")
    assert stripped.count_params() < model.count_params()
    for source in (model, stripped):
        assert same(source, to_tf_keras(source))


MODELS = {
    "take": lambda: of(lambda x: ops.take(x, [0, 3, 5], axis=-1)),
    "pad": lambda: of(lambda x: ops.pad(x, [[0, 0]] * 3 + [[1, 2]])),
    "slice": lambda: of(lambda x: x[:, ::2, 1:, None, 3:]),
    "split": lambda: of(lambda x: ops.add(*ops.split(x, 2, axis=-1))),
    "array": lambda: of(lambda x: x * np.arange(8, dtype="float32") - 1),
    "gelu": lambda: of(ops.gelu),
    "separable": lambda: of(layers.SeparableConv2D(3, 2, activation="silu")),
    "depthwise": lambda: of(layers.DepthwiseConv2D(2, depth_multiplier=2)),
    "leaky": lambda: of(layers.LeakyReLU(0.1)),
    "normalization": lambda: of(
        layers.Normalization(mean=[1.0] * 8, variance=[2.0] * 8)
    ),
    "augmented": lambda: of(lambda x: layers.Dense(3)(layers.RandomFlip()(x))),
    "nested": lambda: of(
        keras.Sequential([keras.Input((4, 4, 8)), layers.Dense(3)])
    ),
    "recurrent": lambda: of(layers.Bidirectional(layers.GRU(3)), (5, 8)),
    "rotated in time": lambda: of(
        layers.TimeDistributed(rrelu_tf.layers.RSiLU()), (5, 8)
    ),
    "double": lambda: of(layers.Dense(4, dtype="float64")),
}


@pytest.mark.parametrize("name", MODELS)
def test_layers_and_operations_compute_the_same(name):
    model = MODELS[name]()
    twin = to_tf_keras(model)
    assert same(model, twin)
    again = type(twin).from_config(twin.get_config())
    again.set_weights(twin.get_weights())
    assert same(model, again)


def test_gathers_fill_in_what_they_are_told_to():
    gather = rrelu_tf.layers.ChannelGather([3, -1, 0], fill=[0, 2.5, 0])
    model = of(gather)
    assert same(model, to_tf_keras(model))


def test_inputs_and_outputs_keep_their_structure():
    a, b = keras.Input((3,), name="a"), keras.Input((4,), name="b")
    made = {"x": layers.Dense(2)(a), "y": layers.Concatenate()([a, b])}
    twin = to_tf_keras(keras.Model({"a": a, "b": b}, made))
    given = {"a": np.ones((2, 3), "float32"), "b": np.ones((2, 4), "float32")}
    answer = twin(given)
    assert answer["x"].shape == (2, 2)
    assert answer["y"].shape == (2, 7)


def test_frozen_layers_stay_frozen_and_shared_ones_shared():
    dense = layers.Dense(8, trainable=False)
    twin = to_tf_keras(of(lambda x: dense(dense(x))))
    assert [len(layer.weights) for layer in twin.layers] == [0, 2]
    assert not twin.trainable_weights


def test_penalties_of_both_kerases_come_along():
    model = of(layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5)))
    penalty = float(ops.convert_to_numpy(model.losses[0]))
    assert np.isclose(float(to_tf_keras(model).losses[0]), penalty)


@pytest.mark.parametrize("kind", [layers.Dense, rrelu_tf.layers.AugmentedDense])
def test_other_penalties_are_named_in_a_warning(kind):
    penalty = rrelu_tf.regularizers.OrthoReg()
    model = of(kind(3, kernel_regularizer=penalty, name="head"))
    with pytest.warns(UserWarning, match=r"head \(kernel_regularizer\)"):
        assert not to_tf_keras(model).losses


def test_the_process_keeps_its_keras():
    to_tf_keras(of(layers.Dense(2)))
    import tensorflow as tf

    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert tf.keras.Model is keras.Model


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2


def quantized():
    model = of(layers.Dense(4, name="odd"), (8,))
    model.quantize("int8")
    return model


REFUSED = {
    "none of this class.*odd=RMSN": lambda: of(
        layers.RMSNormalization(name="odd")
    ),
    "none of this class.*odd=Doubled": lambda: of(Doubled(name="odd")),
    "like its hard_sigmoid.*odd=": lambda: of(
        layers.Activation("hard_sigmoid", name="odd")
    ),
    "like its gelu.*odd=": lambda: of(layers.Activation(ops.gelu, name="odd")),
    "rms_scaling is unknown.*odd=": lambda: of(
        layers.LayerNormalization(rms_scaling=True, name="odd")
    ),
    "quantised.*odd=": quantized,
}


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quant")
@pytest.mark.parametrize("reason", REFUSED)
def test_a_layer_that_cannot_come_along_is_named_with_the_reason(reason):
    with pytest.raises(UserError, match=reason) as caught:
        to_tf_keras(REFUSED[reason]())
    assert "\n" not in str(caught.value)


def test_a_tf_keras_model_is_told_what_it_is():
    twin = to_tf_keras(of(layers.Dense(2)))
    with pytest.raises(UserError, match="one of tf_keras already: give it to"):
        to_tf_keras(twin)


def test_other_things_are_refused():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(UserError, match="takes a Keras 3 model"):
        to_tf_keras(layers.Dense(2))
    with pytest.raises(UserError, match="have a graph"):
        to_tf_keras(Own())


def test_a_model_that_differs_is_never_returned(monkeypatch):
    # TFMOT comes along with these: not for the collection of all tests.
    from rrelu_tf.export.tf_keras_bridge import translation, weights

    def wrong(layer, twin):
        copy(layer, twin)
        for weight in twin.weights:
            weight.assign(weight * 1.0001)

    copy = weights.copy
    monkeypatch.setattr(translation.weights, "copy", wrong)
    with pytest.raises(UserError, match="differs by 0.0001"):
        to_tf_keras(of(layers.Dense(2)))
