"""TFMOT 0.8 prunes, clusters and quantises what to_tf_keras returns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.export import litert, quantize_aware, to_tf_keras, write_int8
from rrelu_tf.export.fresh_process import ExportError
from rrelu_tf.export.tf_keras_bridge import legacy

# TensorFlow says it of the interpreter that it no longer brings along, and of
# models that the converter saves.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def tfmot():
    return legacy.load()[1]


def tiny():
    """A net with what TFMOT refuses: slopes, gathers, nodes of keras.ops."""
    images = keras.Input((8, 8, 3), name="images")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(images)
    x = rrelu_tf.layers.BatchNormalization()(x)
    x = stem = rrelu_tf.layers.RReLU()(x)
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.Add()([x, ops.take(stem, [0, 2, 3, 5], axis=-1)])
    x = rrelu_tf.layers.RSiLU()(x)
    x = layers.Rescaling([0.5, 1.0, 1.5, 2.0])(x)
    x = ops.pad(x, [[0, 0]] * 3 + [[0, 2]])
    x = layers.Add()([x, rrelu_tf.layers.ChannelGather([5, -1, *range(4)])(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(3, name="logits")(x), name="tiny")


def data(shape=(8, 8, 3)):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(64, *shape)).astype("float32")
    return images, generator.integers(0, 3, 64)


def train(model, *callbacks, epochs=2):
    """A few steps of SGD."""
    tf_keras, _ = legacy.load()
    images, labels = data(model.input_shape[1:])
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.SGD(0.01), loss)
    history = model.fit(
        images, labels, 16, epochs, verbose=0, callbacks=list(callbacks)
    )
    assert np.isfinite(history.history["loss"]).all()


def kernels(model):
    """Those that TFMOT prunes and clusters: not the depthwise ones."""
    found = {
        weight.name: weight.numpy()
        for weight in model.weights
        if "kernel" in weight.name and "depthwise_kernel" not in weight.name
    }
    assert found
    return list(found.values())


def outputs(model, images):
    return np.asarray(model(images, training=False))


def prunes(model, tfmot):
    sparsity = tfmot.sparsity.keras
    schedule = sparsity.ConstantSparsity(0.5, 0, frequency=1)
    pruned = sparsity.prune_low_magnitude(model, schedule)
    train(pruned, sparsity.UpdatePruningStep())
    small = sparsity.strip_pruning(pruned)
    assert [type(layer) for layer in small.layers] == [
        type(layer) for layer in model.layers
    ]
    for kernel in kernels(small):
        assert np.sum(kernel != 0) == round(0.5 * kernel.size)


def clusters(model, tfmot):
    clustering = tfmot.clustering.keras
    clustered = clustering.cluster_weights(
        model, 4, clustering.CentroidInitialization.LINEAR
    )
    train(clustered)
    small = clustering.strip_clustering(clustered)
    assert all(len(np.unique(k)) <= 4 for k in kernels(small))


def quantizes(model, path, epochs=2, noise=0.0):
    """Trains, converts and runs the file; the file's dtypes by tensor."""
    pytest.importorskip("ai_edge_litert")
    before = model.get_weights()
    aware = quantize_aware(model)
    train(aware, epochs=epochs)
    write_int8(aware, path)
    images, _ = data(model.input_shape[1:])
    expected = outputs(aware, images)
    # In the outputs' own steps: LiteRT rounds to others here and there.
    step = np.diff(np.unique(expected)).min()
    apart = np.abs(litert.load(path)(images) - expected) / step
    spread = expected.std() / step
    assert apart.mean() <= max(1, noise * spread)
    assert apart.max() <= 5 * max(1, noise * spread)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    return dtypes(path)


def dtypes(path):
    from ai_edge_litert.interpreter import Interpreter

    found = Interpreter(model_path=str(path)).get_tensor_details()
    return [np.dtype(tensor["dtype"]).name for tensor in found]


def test_pruning_reaches_its_sparsity_and_strips(tfmot):
    prunes(to_tf_keras(tiny()), tfmot)


def test_clustering_leaves_as_many_values_as_it_was_told(tfmot):
    clusters(to_tf_keras(tiny()), tfmot)


def test_quantisation_aware_training_ends_in_an_int8_file(tmp_path):
    found = quantizes(to_tf_keras(tiny()), tmp_path / "tiny.tflite")
    # Images in and logits out, no other tensor is in float.
    assert found.count("float32") == 2
    assert found.count("int8") > 10


def two_ends():
    """Two inputs and two outputs, of other names than their layers'."""
    first, second = keras.Input((6,), name="a"), keras.Input((4,), name="z")
    x = layers.Concatenate()([second, first])
    x = layers.Dense(8, activation="relu")(x)
    ends = [layers.Dense(3, name="z_out")(x), layers.Dense(2, name="a_out")(x)]
    return keras.Model([second, first], ends)


def test_an_int8_file_of_several_inputs_and_outputs_is_compared_too(tmp_path):
    pytest.importorskip("ai_edge_litert")
    aware = quantize_aware(to_tf_keras(two_ends()))
    draw = np.random.default_rng(0)
    inputs = [draw.normal(size=(32, n)).astype("float32") for n in (4, 6)]
    for _ in range(300):  # until the ranges are known
        aware(inputs, training=True)
    write_int8(aware, tmp_path / "two.tflite")
    assert (tmp_path / "two.tflite").is_file()


def test_an_int8_file_that_computes_something_else_is_not_written(
    tmp_path, monkeypatch
):
    pytest.importorskip("ai_edge_litert")
    aware, other = (quantize_aware(to_tf_keras(tiny())) for _ in range(2))
    train(aware)
    turned = [-w if w.ndim > 1 else w for w in aware.get_weights()]
    other.set_weights(turned)
    kind = tf.lite.TFLiteConverter
    convert = kind.from_keras_model
    monkeypatch.setattr(kind, "from_keras_model", lambda _: convert(other))
    with pytest.raises(ExportError, match=r"its model's outputs.* Received: "):
        write_int8(aware, tmp_path / "tiny.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "activation", "options"),
    [
        ("fcnn", "rrelu", {}),
        ("resnet8", "rrelu", {"width": 0.25}),
        ("wrn_10_1", "rrelu", {}),
        ("mobilenet_v1", "relu", {}),
        ("efficientnet_b0", "rsilu", {}),
        ("vit_tiny", "rgelu", {"depth": 1}),
    ],
)
def test_stripped_nets_go_all_the_way(
    name, activation, options, tfmot, tmp_path
):
    model = rrelu_tf.models.create(
        name, num_classes=3, activation=activation, **options
    )
    method = "slope" if activation != "relu" else "l1"
    scores = rrelu_tf.score(model, method)
    # A depthwise layer's channels and those before it are the same ones.
    keep = rrelu_tf.select(scores, sparsity=0.5, model=model, align="couple")
    stripped = rrelu_tf.strip(rrelu_tf.mask(model, keep), align="couple")
    prunes(to_tf_keras(stripped), tfmot)
    clusters(to_tf_keras(stripped), tfmot)
    # What rounds otherwise is rounded on, 80 layers deep, and drowns outputs
    # whose range nobody knows yet.
    deep = {"epochs": 100, "noise": 0.1} if len(stripped.layers) > 200 else {}
    found = quantizes(to_tf_keras(stripped), tmp_path / "net.tflite", **deep)
    assert "int8" in found


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_keras_quantises_a_stripped_model_itself():
    model = rrelu_tf.models.create(
        "fcnn", num_classes=3, input_shape=(8, 8, 3), activation="rrelu"
    )
    keep = rrelu_tf.select(
        rrelu_tf.score(model, "slope"), sparsity=0.5, model=model
    )
    stripped = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    images, _ = data()
    before = outputs(stripped, images)
    stripped.quantize("int8")
    assert stripped.get_layer("fc1").kernel.dtype == "int8"
    range_ = before.max() - before.min()
    assert np.abs(outputs(stripped, images) - before).max() <= 0.05 * range_


def test_what_is_no_bridged_model_is_refused_in_one_line(tmp_path):
    model = tiny()
    with pytest.raises(UserError, match="what rrelu_tf.export.to_tf_keras"):
        quantize_aware(model)
    with pytest.raises(UserError, match="a model of rrelu_tf.export.quant"):
        write_int8(to_tf_keras(model), tmp_path / "file.tflite")
    with pytest.raises(UserError, match="a model of rrelu_tf.export.quant"):
        write_int8(to_tf_keras(model).layers[1], tmp_path / "file.tflite")
    assert not list(tmp_path.iterdir())


def test_what_tfmot_wrapped_or_cannot_quantise_is_refused_in_one_line(tfmot):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="fc")])
    # TFMOT wraps the layers themselves.
    twins = [to_tf_keras(model) for _ in range(3)]
    pruned = tfmot.sparsity.keras.prune_low_magnitude(twins[0])
    clustered = tfmot.clustering.keras.cluster_weights(
        twins[1], 2, tfmot.clustering.keras.CentroidInitialization.LINEAR
    )
    for wrapped, kind in (
        (pruned, "PruneLowMagnitude"),
        (clustered, "ClusterWeights"),
        (quantize_aware(twins[2]), "Quantize.*"),
    ):
        with pytest.raises(UserError, match=rf"\. Received: .*={kind}$"):
            quantize_aware(wrapped)
    with pytest.raises(UserError, match="takes what .* Received: model="):
        quantize_aware(pruned.layers[-1])
    normed = [keras.Input((4,)), layers.LayerNormalization()]
    nothing = to_tf_keras(keras.Sequential(normed, name="nothing"))
    with pytest.raises(UserError, match="TFMOT quantises. Received: .*=nothi"):
        quantize_aware(nothing)


def test_a_model_inside_of_a_model_is_not_quantised():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="in")
    outer = keras.Sequential([keras.Input((4,)), inner])
    with pytest.raises(UserError, match="inside of another.*Received: in="):
        quantize_aware(to_tf_keras(outer))
