"""Prunes a narrow ResNet by every score, with and without OrthoReg.

    python benchmarks/orthoreg.py --dataset=fashion_mnist --data_dir=DATA
    python benchmarks/orthoreg.py --dataset=cifar10 --data_dir=DATA

ResNet-8 with conv shortcuts and half the channels. For each of three seeds:

- `--epochs` of training, plain (decay 1e-4) and with OrthoReg (1e-2, no decay),
  the authors' choices; then every score removes 25, 50 and 75 % of the
  channels, and `--retrain_epochs` of plain training follow. `orthoreg` is the
  score fisher on the net of OrthoReg, as the authors define it; the others are
  scores of the plain net.
- Controls of as many epochs in all: `dense`, the plain net trained on, and
  `scratch`, the net that fisher left, with new weights.
- How well each score agrees with the change of loss when a channel goes, and
  how far a group's change is from its members' sum, on both nets.

Accuracy is that of the last epoch on test data, which choose nothing. Writes
`benchmarks/results/orthoreg_<dataset>.csv` and `agreement_<dataset>.csv`, row
by row: a command that was stopped goes on. Prints both as Markdown tables.
"""

import pathlib

import fitting
import keras
from absl import app, flags
from table_of_seeds import Table

import rrelu_tf
from rrelu_tf.analysis import accuracy
from rrelu_tf.scoring import scores
from rrelu_tf.training import building, penalties
from rrelu_tf.training.recipe import Recipe

METHODS = ("fisher", "bn", "l1", "sfp", "tfo", "rdt", "grasp", "random")
SPARSITIES = (0.25, 0.5, 0.75)
TRAINED = {
    "plain": {"weight_decay": 1e-4},
    "orthoreg": {"weight_decay": 0.0, "orthoreg": 1e-2},
}

DATASET = flags.DEFINE_string("dataset", "fashion_mnist", "TFDS name.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder.")
SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds 0, 1, ...", lower_bound=1)
EPOCHS = flags.DEFINE_integer("epochs", 4, "Before pruning.", lower_bound=1)
RETRAIN = flags.DEFINE_integer(
    "retrain_epochs", 1, "After pruning.", lower_bound=1
)
HELD_OUT = flags.DEFINE_float(
    "held_out", 0.8, "Share of train that no net sees, to be done in an hour."
)
SAMPLES = flags.DEFINE_integer("samples", 2_000, "Images that scores see.")
FOLDER = flags.DEFINE_string("folder", "runs/orthoreg", "Of trained nets.")


class Study:
    """One seed: its data, its nets, and the rows that they give."""

    def __init__(self, seed):
        self.seed = seed
        self.recipe = Recipe(
            arch="resnet8_b",
            arch_options=("width=0.5",),
            activation="relu",
            dataset=DATASET.value,
            schedule="cosine_step",
            epochs=EPOCHS.value,
            validation_split=HELD_OUT.value,
            seed=seed,
            **TRAINED["plain"],
        )
        self.data = building.load_data(self.recipe, data_dir=DATA_DIR.value)
        self.examples = self.data.unaugmented(SAMPLES.value)

    def trained(self, kind):
        """The net of `TRAINED`, from its file if it is there."""
        name = f"{DATASET.value}-{kind}-{EPOCHS.value}-seed{self.seed}.keras"
        path = pathlib.Path(FOLDER.value, name)
        if path.exists():
            return keras.models.load_model(path, compile=False)
        recipe = Recipe(**{**vars(self.recipe), **TRAINED[kind]})
        keras.utils.set_random_seed(self.seed)
        model = self.fit(self.new(recipe), recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
        return model

    def new(self, recipe):
        """A net with new weights."""
        data = self.data
        return building.make_model(recipe, data.num_classes, data.image_shape)

    def fit(self, model, recipe, first=0):
        """Trains a model in place, from epoch `first` of the data on."""
        return fitting.fit(model, self.data, recipe, first)

    def retrain(self, model):
        """Trains what pruning left, plainly: without a penalty of its own."""
        plain = rrelu_tf.orthogonalize(model, 0.0)
        penalties.give(plain)
        epochs = RETRAIN.value
        recipe = Recipe(**{**vars(self.recipe), "epochs": epochs})
        return self.fit(plain, recipe, EPOCHS.value)

    def accuracy(self, model):
        """On test data, in per cent."""
        classify = accuracy.of_model(model)
        score = accuracy.evaluate(classify, self.data.test)
        return round(100 * score.accuracy, 2)

    def row(self, method, sparsity, at_once, model):
        """A row of the table; `at_once` is an accuracy before retraining."""
        profile = rrelu_tf.profile(model)
        return {
            "method": method,
            "removed_percent": round(100 * sparsity),
            "seed": self.seed,
            "params": profile.params,
            "macs": profile.macs,
            "at_once": at_once,
            "last_epoch": self.accuracy(model),
        }

    def pruned(self, method, sparsity):
        """The row of one score, and of a net of its shape from scratch."""
        kind = "orthoreg" if method == "orthoreg" else "plain"
        model = self.trained(kind)
        found = rrelu_tf.score(model, method, self.examples)
        keep = rrelu_tf.select(found, sparsity=sparsity, model=model)
        masked = rrelu_tf.mask(model, keep)
        small = rrelu_tf.strip(masked)
        rrelu_tf.verify(masked, small)
        at_once = self.accuracy(small)
        yield self.row(method, sparsity, at_once, self.retrain(small))
        if method == "fisher":
            total = EPOCHS.value + RETRAIN.value
            recipe = Recipe(**{**vars(self.recipe), "epochs": total})
            fresh = rrelu_tf.strip(masked)
            initialise(fresh, self.seed)
            yield self.row("scratch", sparsity, "", self.fit(fresh, recipe))

    def dense(self):
        """The rows of the nets that nothing is removed from."""
        for kind in TRAINED:
            model = self.trained(kind)
            name = "dense" if kind == "plain" else "dense-orthoreg"
            at_once = self.accuracy(model)
            yield self.row(name, 0.0, at_once, self.retrain(model))

    def agreements(self):
        """The rows of every score on both nets."""
        for kind in TRAINED:
            model = self.trained(kind)
            by_name = scores(model, METHODS, self.examples)
            found = rrelu_tf.score_agreement(
                model, by_name, self.examples, channels=96, groups=48
            )
            for method, agreement in found.items():
                yield {
                    "net": kind,
                    "method": method,
                    "seed": self.seed,
                    "spearman": round(agreement.overall, 3),
                    "groups_spearman": round(agreement.group_scores, 3),
                    "groups_error": round(agreement.group_scores_error, 3),
                    "sums_of_changes_error": round(
                        agreement.group_changes_error, 3
                    ),
                }


def initialise(model, seed):
    """Gives every layer new weights, as its initialisers say."""
    keras.utils.set_random_seed(seed)
    fresh = keras.models.clone_model(model)
    model.set_weights(fresh.get_weights())


def main(argv):
    """Adds the rows that the tables lack."""
    del argv
    for seed in range(SEEDS.value):
        study = Study(seed)
        table = Table(f"orthoreg_{DATASET.value}.csv")
        if not table.has(method="dense", seed=seed):
            table.add(study.dense())
        for method in (*METHODS, "orthoreg"):
            for sparsity in SPARSITIES:
                removed = round(100 * sparsity)
                key = {"method": method, "removed_percent": removed}
                if not table.has(**key, seed=seed):
                    table.add(study.pruned(method, sparsity))
                    keras.backend.clear_session()
        agreement = Table(f"agreement_{DATASET.value}.csv")
        if not agreement.has(seed=seed):
            agreement.add(study.agreements())
    table.show("method", "removed_percent")
    agreement.show("net", "method")


if __name__ == "__main__":
    app.run(main)
