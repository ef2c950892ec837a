"""What protocol="seed" chooses in training: each choice alone, measured.

    python benchmarks/seed_choices.py --data_dir=DATA

ResNet-8 with conv shortcuts and half the channels is trained as the OrthoReg
authors train for early-bird tickets: 25 epochs at 0.1, decay 1e-4, batches of
128; but on 3,000 images of Fashion-MNIST. Of each of three seeds:

- Tickets of half the channels, by bn and fisher: the epoch at which the masks
  of 5 epochs lie less than 0.1 apart, and after all 25, the authors'; how many
  channels of 100 only one of both tickets keeps.
- Test accuracy of the best epoch on 3,000 other images, and of the best one
  on the test images themselves, the authors'; and of a net of its own whose
  rate falls to a tenth after a half and three quarters of the epochs, theirs
  for iterative pruning.
- Scores of the last net: of its training images as they are, and cropped,
  mirrored and shuffled, the authors'; 1,000 images each. As a yardstick, of
  1,000 as they are and 1,000 others as they are. Spearman's correlation, and
  how many channels of 100 `select(sparsity=0.5)` would keep of one case only.

Writes `benchmarks/results/seed_choices.csv`, seed by seed: a command that was
stopped goes on. About 3 CPU minutes a seed.
"""

import dataclasses

import keras
import numpy as np
from absl import app, flags
from seed_effects import row
from table_of_seeds import Table

import rrelu_tf
from rrelu_tf.analysis import accuracy
from rrelu_tf.scoring import scores
from rrelu_tf.training import building
from rrelu_tf.training.recipe import Recipe

DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder.")
SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds 0, 1, ...", lower_bound=1)
EPOCHS = flags.DEFINE_integer("epochs", 25, "Of training.", lower_bound=1)
TICKETS = ("bn", "fisher")
AT_ONE_RATE = "epoch chosen, test accuracy"
AT_FALLING_RATES = "epoch chosen at falling rates, test accuracy"
METHODS = ("fisher", "tfo", "rdt")
_COLUMNS = ("where", "right", "theirs", "Spearman", "kept_otherwise_percent")
_IMAGES = 1_000  # that scores see
_HELD_OUT = 0.95  # share of train that no net sees


class Accuracies(keras.callbacks.Callback):
    """Accuracy after each epoch, in per cent.

    Attributes:
        validation: list of float, on images held out.
        test: list of float, on test images.
    """

    def __init__(self, data):
        super().__init__()
        self._data = data
        self.validation, self.test = [], []

    def on_train_begin(self, logs=None):
        """Makes the function that classifies."""
        self._classify = accuracy.of_model(self.model)

    def on_epoch_end(self, epoch, logs=None):
        """Measures both."""
        for found, images in (
            (self.validation, self._data.validation),
            (self.test, self._data.test),
        ):
            score = accuracy.evaluate(self._classify, images)
            found.append(100 * score.accuracy)


def load(seed):
    """(recipe, data): 3,000 images to train on, as many to choose epochs."""
    recipe = Recipe(
        arch="resnet8_b",
        arch_options=("width=0.5",),
        activation="relu",
        dataset="fashion_mnist",
        schedule="constant",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=1e-4,
        batch_size=128,
        epochs=EPOCHS.value,
        validation_split=_HELD_OUT,
        seed=seed,
    )
    data = building.load_data(recipe, data_dir=DATA_DIR.value)
    held_out = np.random.default_rng(seed).choice(
        data.validation_positions, data.train_size, replace=False
    )
    return recipe, dataclasses.replace(data, validation_positions=held_out)


def fit(recipe, data, methods=()):
    """(model, its `Accuracies`, score -> its tickets, by distance and last)."""
    keras.utils.set_random_seed(recipe.seed)
    model = building.make_model(recipe, data.num_classes, data.image_shape)
    schedule = building.create_schedule(recipe, data.steps_per_epoch)
    building.compile_model(recipe, model, schedule)
    measured = Accuracies(data)
    options = {"sparsity": 0.5, "data": data.unaugmented(_IMAGES)}
    tickets = {
        method: [
            rrelu_tf.EarlyBird(method, at=at, **options)
            for at in (None, recipe.epochs)
        ]
        for method in methods
    }
    model.fit(
        data.train(0, recipe.epochs),
        epochs=recipe.epochs,
        steps_per_epoch=data.steps_per_epoch,
        callbacks=[measured, *sum(tickets.values(), [])],
        verbose=2,
    )
    return model, measured, tickets


def of_tickets(tickets):
    """Rows of when tickets are drawn; nothing is compared with none."""
    for method, (right, seed) in tickets.items():
        found = {"right": right.epoch or "", "theirs": seed.epoch}
        if right.epoch:
            found |= row("", "", right.mask, seed.mask, kept=True)
        yield {**found, "where": f"ticket by {method}, epoch"}


def of_epochs(where, measured):
    """The row of test accuracy by the images that choose the epoch."""
    test = np.array(measured.test)
    yield {
        "where": where,
        "right": round(test[np.argmax(measured.validation)], 2),
        "theirs": round(test.max(), 2),
    }


def of_images(model, data, epoch):
    """Rows of scores by the images that they are of."""
    pixels, labels = arrays(data.unaugmented(data.train_size))
    given = pixels[::3], labels[::3]
    others = pixels[1::3], labels[1::3]
    shuffled = (x[:_IMAGES] for x in arrays(data.train(epoch, epoch + 1)))
    right, seed, again = (
        scores(model, METHODS, images)
        for images in (given, tuple(shuffled), others)
    )
    for where, found in (
        ("augmented, shuffled", seed),
        ("as they are, others", again),
    ):
        for method in METHODS:
            pair = right[method], found[method]
            yield row(f"images {where} ({method})", "", *pair)


def arrays(batches):
    """(images, labels) of all batches."""
    parts = zip(*batches.as_numpy_iterator(), strict=True)
    return tuple(np.concatenate(part) for part in parts)


def at_one_rate(seed):
    """The rows of a seed's net for tickets."""
    recipe, data = load(seed)
    model, measured, tickets = fit(recipe, data, TICKETS)
    yield from of_tickets(tickets)
    yield from of_epochs(AT_ONE_RATE, measured)
    yield from of_images(model, data, recipe.epochs)


def at_falling_rates(seed):
    """The row of a seed's net by the schedule of iterative pruning."""
    recipe, data = load(seed)
    steps = (recipe.epochs // 2, recipe.epochs * 3 // 4)
    recipe = dataclasses.replace(recipe, schedule="multistep", milestones=steps)
    _, measured, _ = fit(recipe, data)
    yield from of_epochs(AT_FALLING_RATES, measured)


def main(argv):
    """Adds the rows that the table lacks, and shows it."""
    del argv
    table = Table("seed_choices.csv")
    for seed in range(SEEDS.value):
        for where, rows in (
            (AT_ONE_RATE, at_one_rate),
            (AT_FALLING_RATES, at_falling_rates),
        ):
            if not table.has(where=where, seed=seed):
                table.add([_whole(seed, found) for found in rows(seed)])
    table.show("where")


def _whole(seed, found):
    values = {name: found.get(name, "") for name in _COLUMNS}
    return {**values, "seed": seed}


if __name__ == "__main__":
    app.run(main)
