"""Stripped nets in 8 bits: TFMOT's training and LiteRT, Keras 3's own.

    python benchmarks/quantization.py --data_dir=DATA

MNIST, a small budget: rotated activations, two epochs of Adam; half of the
channels (ResNet-8: three in ten) go by their slopes; one more epoch; the
stripped net as a tf_keras model, an epoch of quantisation-aware training by
TFMOT, an int8 LiteRT file.
Beside it, `keras.Model.quantize("int8")` of the stripped net, which has kernels
of Dense layers in 8 bits alone, and the int8 file without that training epoch
(but the few steps that find the ranges of activations). Accuracy is of the test
split, one seed; the size is that of the weights, of LiteRT the file's. Writes
`benchmarks/results/quantization.csv`, and leaves out nets that it has already.
"""

import csv
import pathlib
import tempfile
import warnings

import keras
import numpy as np
from absl import app, flags

import rrelu_tf
from rrelu_tf.data import load
from rrelu_tf.export import litert, quantize_aware, to_tf_keras, write_int8
from rrelu_tf.export.tf_keras_bridge import legacy

RESULTS = pathlib.Path(__file__).parent / "results" / "quantization.csv"
# Name -> options, share of the channels that go.
NETS = {"fcnn": ({}, 0.5), "resnet8": ({"width": 0.5}, 0.3)}
_EPOCHS, _RATE = 2, 1e-3
# Batches that find the ranges of activations.
_CALIBRATION = 20

DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder.")
SEED = flags.DEFINE_integer("seed", 0, "Of weights and order.", lower_bound=0)


class Table:
    """The rows of one net.

    Attributes:
        rows: list of dicts.
    """

    def __init__(self, net, data):
        self.net, self.rows = net, []
        batches = list(data.test)
        self.images = np.concatenate([images for images, _ in batches])
        self.labels = np.concatenate([labels for _, labels in batches])

    def add(self, step, classify, params, size):
        """Measures a function of images to logits."""
        chunks = np.array_split(self.images, 20)
        found = [np.argmax(classify(chunk), -1) for chunk in chunks]
        accuracy = np.mean(np.concatenate(found) == self.labels)
        row = {
            "net": self.net,
            "step": step,
            "params": params,
            "size_kb": None if size is None else round(size / 1000, 1),
            "accuracy_percent": round(100 * float(accuracy), 2),
        }
        self.rows.append(row)
        print(row, flush=True)

    def add_model(self, step, model):
        """Measures a Keras 3 model."""
        size = sum(np.asarray(weight).nbytes for weight in model.weights)
        self.add(step, _classifier(model), model.count_params(), size)

    def add_int8(self, step, aware, params):
        """Measures a quantisation-aware tf_keras model's LiteRT file."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model.tflite")
            write_int8(aware, path)
            self.add(step, litert.load(path), params, path.stat().st_size)


def _classifier(model):
    return lambda images: np.asarray(model(images, training=False))


def train(library, model, data, epochs, steps=None):
    """Trains a model with its own Keras."""
    model.compile(
        library.optimizers.Adam(_RATE),
        library.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    batches = data.train(*epochs)
    if steps is not None:
        batches = batches.take(steps)
    model.fit(batches, shuffle=False, verbose=2)


def measure(net, data):
    """The rows of one net."""
    options, sparsity = NETS[net]
    tf_keras, _ = legacy.load()
    table = Table(net, data)
    model = rrelu_tf.models.create(
        net,
        num_classes=data.num_classes,
        input_shape=data.image_shape,
        activation="rrelu",
        **options,
    )
    train(keras, model, data, (0, _EPOCHS))
    table.add_model("dense", model)
    scores = rrelu_tf.score(model, "slope")
    keep = rrelu_tf.select(scores, sparsity=sparsity, model=model)
    masked = rrelu_tf.mask(model, keep)
    small = rrelu_tf.strip(masked)
    rrelu_tf.verify(masked, small)
    table.add_model("stripped", small)
    train(keras, small, data, (_EPOCHS, _EPOCHS + 1))
    table.add_model("stripped, an epoch more", small)
    params = small.count_params()
    twin = to_tf_keras(small)

    aware = quantize_aware(twin)
    train(tf_keras, aware, data, (_EPOCHS + 1, _EPOCHS + 2), _CALIBRATION)
    table.add_int8("+ ranges, int8 LiteRT", aware, params)
    aware = quantize_aware(twin)
    train(tf_keras, aware, data, (_EPOCHS + 1, _EPOCHS + 2))
    table.add("+ QAT, an epoch", _classifier(aware), params, None)
    table.add_int8("+ QAT, int8 LiteRT", aware, params)

    with warnings.catch_warnings():  # for each layer that stays in float
        warnings.filterwarnings("ignore", "Layer .* does not have a `quantize`")
        small.quantize("int8")
    table.add_model("Keras 3's quantize('int8')", small)
    return table.rows


def main(argv):
    """Measures the nets and writes the table."""
    del argv
    rows = list(csv.DictReader(RESULTS.open())) if RESULTS.exists() else []
    for net in sorted(set(NETS) - {row["net"] for row in rows}):
        keras.utils.set_random_seed(SEED.value)
        data = load("mnist", data_dir=DATA_DIR.value, seed=SEED.value)
        rows += measure(net, data)
        with RESULTS.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    app.run(main)
