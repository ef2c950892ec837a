"""Choosing, masking, stripping and verifying in one call."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.pruning import procedure
from rrelu_tf.pruning.silencing import Silenced, Silencing


@pytest.fixture
def model():
    """Ten classes told apart by fcnn's hidden units, some of them useless."""
    model = rrelu_tf.models.create(
        "fcnn", num_classes=10, input_shape=(4, 4, 1), activation="rrelu"
    )
    slope = model.get_layer("rrelu1").slope
    values = keras.ops.convert_to_numpy(slope).copy()
    values[:50] = np.linspace(1e-4, 1e-3, 50)
    slope.assign(values)
    return model


@pytest.fixture
def validation(model):
    """Images labelled by the model itself: its accuracy is 1."""
    images = np.random.default_rng(0).normal(size=(200, 4, 4, 1))
    images = images.astype("float32")
    labels = np.argmax(model(images), axis=-1).astype("int32")
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(64)


def test_auto_removes_useless_channels_and_keeps_the_accuracy(
    model, validation
):
    pruned = procedure.prune(model, validation, tolerance=0.0)
    assert pruned.choice.baseline.accuracy == 1.0
    assert pruned.choice.chosen.accuracy == 1.0
    assert 40 <= pruned.choice.chosen.dead < 500
    width = pruned.model.get_layer("fc1").units
    assert width == 500 - pruned.choice.chosen.dead
    assert pruned.equivalence.dtype == "float64"
    assert pruned.equivalence.relative < 1e-12


def test_a_given_zeta_removes_exactly_the_slopes_up_to_it(model, validation):
    before = model.get_weights()
    pruned = procedure.prune(model, validation, zeta=1e-3)
    assert pruned.choice.chosen.dead == 50
    assert pruned.model.get_layer("fc1").units == 450
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_silencing_measures_what_the_masked_model_computes(model, validation):
    keep = rrelu_tf.select(rrelu_tf.score(model, "slope"), threshold=1.0)
    masked = rrelu_tf.mask(model, keep)
    right = [
        np.mean(np.argmax(masked(images), axis=-1) == labels)
        for images, labels in validation.unbatch().batch(200)
    ]
    scores = rrelu_tf.score(model, "slope")
    silencing = Silencing(model, validation, scores)
    assert silencing.accuracy(1.0) == pytest.approx(right[0])
    assert silencing.accuracy(0.0) == 1.0  # thresholds do not add up


def test_network_slimming_thresholds_the_scales_of_norms():
    i = keras.Input((2,))
    x = keras.layers.Dense(4, name="d")(i)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="act")(x)
    net = keras.Model(i, keras.layers.Dense(2, name="head")(x))
    net.get_layer("norm").gamma.assign([1.0, -0.2, 0.1, -2.0])
    net.get_layer("norm").beta.assign([0.1, 0.5, 0.5, 0.5])
    pruned = procedure.prune(net, None, method="bn", zeta=0.2)
    assert pruned.model.get_layer("d").units == 2
    assert rrelu_tf.kept(pruned.model)["norm"].tolist() == [0, 3]
    assert pruned.choice.chosen.dead == 2


def test_a_scale_of_zero_with_an_offset_that_counts_is_no_free_channel():
    i = keras.Input((2,))
    x = keras.layers.BatchNormalization(name="norm")(i)
    net = keras.Model(i, keras.layers.Dense(2, name="head")(x))
    net.get_layer("norm").gamma.assign([0.0, 1.0])
    net.get_layer("norm").beta.assign([50.0, 0.0])
    net.get_layer("head").kernel.assign([[0.0, 1.0], [10.0, 0.0]])
    images = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    labels = np.argmax(net(images), axis=-1)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(10)
    assert set(labels) == {1}
    with pytest.raises(UserError, match="none may go. Received: zeta=auto$"):
        procedure.prune(net, data, method="bn", tolerance=0.0)


def test_a_stripped_model_is_pruned_as_the_source_that_it_is_now():
    i = keras.Input((2,))
    x = keras.layers.Dense(6, name="d")(i)
    x = rrelu_tf.layers.RReLU(name="act")(x)
    net = keras.Model(i, keras.layers.Dense(2, name="head")(x))
    net.get_layer("act").slope.assign([0, 0.3, 1, 1, 1, 1])
    small = procedure.prune(net, None, zeta=0.0).model
    pruned = procedure.prune(small, None, zeta=0.5)
    assert rrelu_tf.kept(pruned.model)["d"].tolist() == [1, 2, 3, 4]


def test_a_model_without_norms_has_no_such_score(model, validation):
    with pytest.raises(UserError, match="bn score"):
        procedure.prune(model, validation, method="bn")


def test_a_zeta_that_kills_the_output_path_is_refused(model, validation):
    with pytest.raises(UserError, match=r"way .* output.*Received: zeta=100$"):
        procedure.prune(model, validation, zeta=100.0)


def test_a_zeta_that_removes_nothing_is_refused(model, validation):
    with pytest.raises(UserError, match=r"smallest is 0.0001. Received"):
        procedure.prune(model, validation, zeta=1e-6)


def test_auto_without_validation_data_is_refused(model):
    with pytest.raises(UserError, match=r"held none out.*Received: zeta=auto"):
        procedure.prune(model, None)


def test_a_zeta_without_validation_data_prunes(model):
    pruned = procedure.prune(model, None, zeta=1e-3)
    assert pruned.choice.chosen.dead == 50
    assert pruned.choice.chosen.accuracy is None


@pytest.mark.parametrize("zeta", [-0.1, float("nan"), float("inf")])
def test_a_zeta_that_is_no_threshold_is_refused(model, validation, zeta):
    with pytest.raises(UserError, match=r"Received: threshold="):
        procedure.prune(model, validation, zeta=zeta)


def test_a_model_without_slopes_is_refused(validation):
    plain = rrelu_tf.models.create(
        "fcnn", num_classes=10, input_shape=(4, 4, 1)
    )
    with pytest.raises(UserError, match=r"slope score. Received: model=fcnn"):
        procedure.prune(plain, validation)


@pytest.fixture
def residual():
    """A net of convs and norms with offsets, none of which is 0."""
    net = rrelu_tf.models.create(
        "resnet8_b", num_classes=10, input_shape=(8, 8, 1)
    )
    rng = np.random.default_rng(0)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(rng.normal(size=layer.beta.shape))
    return net


def test_silenced_filters_are_what_mask_makes_of_them(residual):
    images = np.random.default_rng(1).normal(size=(4, 8, 8, 1))
    scores = rrelu_tf.score(residual, "l1")
    silenced = Silenced(residual, scores)
    for channels in (
        [("conv1", 3), ("layer2_0_shortcut_0", 0), ("conv1", 9)],
        [("layer3_0_conv1", 63)],
        [],
    ):
        keep = {key: np.ones(len(s), bool) for key, s in scores.items()}
        for key, channel in channels:
            keep[key][channel] = False
        silenced.silence(channels)
        expected = rrelu_tf.mask(residual, keep)(images)
        assert np.array_equal(silenced.model(images), expected)


def test_scores_by_gradients_take_the_training_data(model, validation):
    pruned = procedure.prune(
        model, validation, training=validation, method="fisher", tolerance=0.0
    )
    found = rrelu_tf.score(model, "fisher", validation)
    assert pruned.method == "fisher" and list(pruned.scores) == ["fc1"]
    np.testing.assert_allclose(pruned.scores["fc1"], found["fc1"], 1e-5)
    kept = np.flatnonzero(found["fc1"] > pruned.choice.chosen.zeta)
    assert rrelu_tf.kept(pruned.model)["fc1"].tolist() == kept.tolist()
    with pytest.raises(UserError, match="Received: data=None$"):
        procedure.prune(model, validation, method="fisher")


def test_a_threshold_is_not_for_signed_scores(residual):
    images = np.random.default_rng(1).normal(size=(20, 8, 8, 1))
    labels = np.arange(20) % 10
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(10)
    with pytest.raises(UserError, match="Received: score=grasp$"):
        procedure.prune(residual, data, training=data, method="grasp", zeta=0.1)
