"""What new statistics of batch normalisations are worth, just after pruning.

    python benchmarks/recalibration.py --data_dir=DATA

For each of three seeds: ResNet-8 with half the channels, four epochs on a fifth
of Fashion-MNIST; then the scores l1 and fisher remove 25, 50 and 75 % of the
channels, one-shot, without retraining. Test accuracy with the whole net's
moving statistics, and with those of `rrelu_tf.recalibrate` on 2,000 training
images. Writes `benchmarks/results/recalibration.csv`; 2.5 CPU minutes a seed.
"""

import csv
import pathlib
import statistics

import fitting
import keras
from absl import app, flags

import rrelu_tf
from rrelu_tf import atomic
from rrelu_tf.analysis import accuracy
from rrelu_tf.training import building
from rrelu_tf.training.recipe import Recipe

OUT = pathlib.Path(__file__).resolve().parent / "results/recalibration.csv"
METHODS = ("l1", "fisher")
SPARSITIES = (0.25, 0.5, 0.75)
FIELDS = (
    "seed",
    "score",
    "removed_percent",
    "dense",
    "at_once",
    "recalibrated",
)

DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder.")
DATASET = flags.DEFINE_string("dataset", "fashion_mnist", "TFDS name.")
SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds 0, 1, ...", lower_bound=1)
EPOCHS = flags.DEFINE_integer("epochs", 4, "Of training.", lower_bound=1)
IMAGES = flags.DEFINE_integer("images", 2_000, "Training images to measure.")


def trained(seed):
    """(net, data) of a seed."""
    recipe = Recipe(
        arch="resnet8_b",
        arch_options=("width=0.5",),
        activation="relu",
        dataset=DATASET.value,
        epochs=EPOCHS.value,
        schedule="cosine_step",
        validation_split=0.8,
        seed=seed,
    )
    keras.utils.set_random_seed(seed)
    data = building.load_data(recipe, data_dir=DATA_DIR.value)
    model = building.make_model(recipe, data.num_classes, data.image_shape)
    return fitting.fit(model, data, recipe), data


def percent(model, data):
    """Test accuracy."""
    score = accuracy.evaluate(accuracy.of_model(model), data.test)
    return round(100 * score.accuracy, 2)


def rows(seed):
    """The rows of one seed's net."""
    model, data = trained(seed)
    dense, images = percent(model, data), data.unaugmented(IMAGES.value)
    for method in METHODS:
        scores = rrelu_tf.score(model, method, images)
        for sparsity in SPARSITIES:
            keep = rrelu_tf.select(scores, sparsity=sparsity, model=model)
            small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
            renewed = rrelu_tf.recalibrate(small, images)
            found = (seed, method, round(100 * sparsity), dense)
            found += (percent(small, data), percent(renewed, data))
            yield dict(zip(FIELDS, found, strict=True))


def write(table):
    """Writes the rows, whole or not at all."""
    with (
        atomic.path(OUT) as temporary,
        open(temporary, "w", newline="") as file,
    ):
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(table)


def show(table):
    """Means and sample deviations over the seeds, as Markdown."""
    print("| score | removed | at once | recalibrated | gain, points |")
    for method in METHODS:
        for sparsity in SPARSITIES:
            removed = round(100 * sparsity)
            chosen = [
                row
                for row in table
                if (row["score"], row["removed_percent"]) == (method, removed)
            ]
            cells = [
                [row["at_once"] for row in chosen],
                [row["recalibrated"] for row in chosen],
                [row["recalibrated"] - row["at_once"] for row in chosen],
            ]
            shown = " | ".join(map(mean_and_deviation, cells))
            print(f"| {method} | {removed} % | {shown} |")


def mean_and_deviation(values):
    """As text."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread}"


def main(argv):
    """Every seed, then the table."""
    del argv
    table = []
    for seed in range(SEEDS.value):
        table += rows(seed)
        write(table)
    show(table)


if __name__ == "__main__":
    app.run(main)
