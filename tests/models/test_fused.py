"""`models.create(fused=False)` is the same model, computed plainly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.data import Preprocessing
from rrelu_tf.export import portable, saved_model

SIDE = 12
NAMES = ("resnet8", "wrn_10_1", "mobilenet_v1", "preact_resnet11")


def create(fused, name="resnet8"):
    keras.utils.set_random_seed(0)
    return models.create(
        name,
        num_classes=3,
        input_shape=(SIDE, SIDE, 3),
        activation="rrelu",
        fused=fused,
    )


def batch():
    generator = np.random.default_rng(0)
    images = generator.normal(size=(16, SIDE, SIDE, 3)).astype("float32")
    return images, np.arange(16) % 3


@pytest.mark.parametrize(
    ("name", "dtype", "near"),
    [
        ("resnet8", "float32", 1e-5),
        *((name, "float64", 1e-10) for name in NAMES),
    ],
)
def test_training_steps_and_what_they_lead_to_are_equal(name, dtype, near):
    keras.config.set_dtype_policy(dtype)
    trained = []
    for fused in (True, False):
        model = create(fused, name)
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        model.fit(*batch(), batch_size=8, shuffle=False, verbose=0)
        trained.append(model)
    fast, plain = trained
    assert [w.path for w in fast.weights] == [w.path for w in plain.weights]
    for a, b in zip(fast.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=100 * near, atol=near)
    images, _ = batch()
    np.testing.assert_allclose(
        fast(images), plain(images), rtol=100 * near, atol=10 * near
    )


def test_one_is_saved_stripped_and_folded_as_the_other(tmp_path):
    images, _ = batch()
    slope, made = None, []
    for fused in (True, False):
        model = create(fused)
        layer = model.get_layer("layer1_0_rrelu1")
        slope = layer.slope.numpy() if slope is None else slope
        layer.slope.assign(np.where(np.arange(16) % 2, slope, 0))
        model(images, training=True)  # moves the statistics
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert {x.fused for x in loaded.layers if hasattr(x, "fused")} == {
            fused
        }
        small = rrelu_tf.strip(loaded)
        folded = rrelu_tf.fold(small)
        assert not any("rrelu_tf" in type(x).__module__ for x in folded.layers)
        assert not any("fused" in x.get_config() for x in folded.layers)
        made.append((model, small, folded))
    for fast, plain in zip(*made, strict=True):
        assert [x.name for x in fast.layers] == [x.name for x in plain.layers]
        shapes = [[w.shape for w in x.weights] for x in (fast, plain)]
        assert shapes[0] == shapes[1]
        np.testing.assert_allclose(
            fast(images), plain(images), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("kind", ["saved_model", "litert"])
def test_one_is_exported_as_the_other(tmp_path, kind):
    if kind == "litert":
        pytest.importorskip("ai_edge_litert")
    preprocessing = Preprocessing(
        image_shape=(SIDE, SIDE, 3), mean=[0.0] * 3, std=[1.0] * 3
    )
    pixels = np.random.default_rng(1).uniform(0, 255, (4, SIDE, SIDE, 3))
    pixels, logits = pixels.astype("float32"), []
    for fused in (True, False):
        model, path = create(fused), tmp_path / str(fused)
        model(batch()[0], training=True)  # moves the statistics
        options = {"preprocessing": preprocessing}
        if kind == "litert":
            (written,) = portable.write(model, path, [kind], **options)
            load = portable.FORMATS[kind].load(written.path)
        else:
            names = ["a", "b", "c"]
            path = saved_model.write(model, path, class_names=names, **options)
            served = tf.saved_model.load(path).signatures["normalized"]

            def load(images, served=served):
                return served(images=tf.constant(images))["logits"]

        logits.append(np.asarray(load(pixels)))
    np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_every_norm_and_slope_obeys(name):
    with keras.StatelessScope(initialize_variables=False):
        model = models.create(
            name,
            num_classes=3,
            input_shape=(32, 32, 3),
            activation="rrelu",
            fused=False,
        )
    choices = [x.fused for x in model.layers if hasattr(x, "fused")]
    assert choices
    assert not any(choices)
