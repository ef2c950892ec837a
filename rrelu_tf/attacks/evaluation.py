"""Trials over a whole data set."""

import dataclasses
import operator

import rich.console
import rich.progress
import rich.table
import tensorflow as tf

from rrelu_tf.attacks import draws
from rrelu_tf.attacks.trial import LLC, LLC_MEAN, accuracy, average
from rrelu_tf.errors import UserError

_CLEAN = accuracy(
    "clean", "accuracy without attack", lambda logits, images, *_: images
)


@dataclasses.dataclass(frozen=True)
class Result:
    """What `evaluate` measured.

    Attributes:
        examples: int, how many images.
        figures: dict of trial name to float; "clean" comes first. "llc_mean"
            is the mean over the images where the protocol's "llc" is not.
        titles: dict of the same names to what they are, for people.
    """

    examples: int
    figures: dict
    titles: dict

    def table(self):
        """The figures as a `rich.table.Table`, shares in per cent."""
        table = rich.table.Table(show_header=False)
        table.add_column("")
        table.add_column("", justify="right", style="bold")
        for name, figure in self.figures.items():
            constant = name in (LLC, LLC_MEAN)
            text = f"{figure:.4g}" if constant else f"{100 * figure:.2f} %"
            table.add_row(self.titles[name], text)
        return table


def evaluate(logits, batches, trials, *, seed=0, progress=False):
    """Runs trials over a data set, one after the other.

    Each is compiled once; batch k of each draws from (seed, k), so that the
    same seed and batch size give the same figures.

    Args:
        logits: function of images to logits `(batch, classes)`, in TensorFlow.
        batches: iterable, read once per trial, of (float images, int32 labels
            `(batch,)`), the images as the trials want them.
        trials: list of `Trial`s; the accuracy without attack comes by itself.
        seed: int.
        progress: whether to show a bar on a terminal, or elsewhere a line per
            trial.

    Returns:
        A `Result`.

    Raises:
        UserError: if there are no images.
    """
    figures, titles, examples = {}, {}, 0
    console = rich.console.Console()
    with _bar(console, progress) as bar:
        for trial in (_CLEAN, *trials):
            total = operator.length_hint(batches, 0) or None
            seen = bar.track(batches, total, description=trial.title)
            sums, sizes = _measure(trial, logits, seen, seed)
            examples = sum(sizes)
            if not examples:
                raise UserError(
                    "There must be at least one image to attack. "
                    "Received: examples=0"
                )
            figures[trial.name] = float(trial.mean(sums, sizes))
            titles[trial.name] = trial.title
            if trial.mean is not average:
                figures[LLC_MEAN] = average(sums, sizes)
                titles[LLC_MEAN] = "the same, mean over the images"
            if progress and not console.is_terminal:
                print(f"done: {trial.title}", flush=True)
    return Result(examples, figures, titles)


def _measure(trial, logits, batches, seed):
    """Sum and size of each batch, as two lists."""
    compiled, sums, sizes = None, [], []
    for number, (images, labels) in enumerate(batches):
        images, labels = tf.convert_to_tensor(images), tf.cast(labels, tf.int32)
        if compiled is None:
            compiled = _compile(trial, logits, images)
        values = compiled(images, labels, draws.fold(seed, number))
        sums.append(float(tf.reduce_sum(tf.cast(values, tf.float64))))
        sizes.append(len(labels))
    return sums, sizes


def _compile(trial, logits, images):
    """The trial as one graph for batches of every size."""
    signature = [
        tf.TensorSpec([None, *images.shape[1:]], images.dtype),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([2], tf.int32),
    ]
    compiled = tf.function(
        lambda images, labels, seed: trial.values(logits, images, labels, seed),
        input_signature=signature,
        autograph=False,
    )
    return compiled.get_concrete_function()


def _bar(console, progress):
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("batches, left"),
        rich.progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (progress and console.is_terminal),
    )
