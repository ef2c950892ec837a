"""Attacks a run or a .keras file, and says how much accuracy is left.

    bin/attack --run=runs/digits-resnet20-rrelu-seed0

prints accuracy without attack and under FGSM, PGD and the square attack, the
local Lipschitz constant, and whether gradients mislead. The protocol `correct`
works on pixels; `seed` repeats the RReLU authors' evaluation, mistakes
included. Exit codes: 0 done; 2 a mistake in what was given.
"""

import dataclasses
import fractions
import json
import pathlib
import sys

from absl import flags

from rrelu_tf import atomic
from rrelu_tf.commands import data_flags, entry, model_flags, quiet
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

model_flags.define(FLAGS, "A .keras file")
data_flags.define(FLAGS)
flags.DEFINE_enum(
    "protocol",
    "correct",
    ["correct", "seed"],
    "correct: pixels in [0, 1], true labels, within ball and box; seed: as "
    "the authors ran it, on normalised images, mistakes included.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "attacks",
    None,
    "Some of fgsm, pgd, margin (PGD on the margin), square, zero_gradient, llc "
    "(the local Lipschitz constant); default: all. seed has fgsm, pgd, llc.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "epsilon",
    None,
    "L-infinity radius, as 8/255 or 0.031; default: 8/255 of the pixels' "
    "range, and 0.031 of a normalised image for seed.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "steps", 20, "Steps of PGD and of the llc search.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "restarts", 5, "Random starts of PGD and of llc.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "queries", 1000, "Queries of the square attack.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "samples",
    1000,
    "Test images to attack, drawn at random; all where there are no more.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "attack_seed",
    0,
    "Seed of the attacks, and of which images.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "batch_size", 128, "Images attacked together.", flag_values=FLAGS
)
flags.DEFINE_string(
    "json", None, "File to write the figures to.", flag_values=FLAGS
)

# The authors fixed what these choose.
_NOT_OF_SEED = ("steps", "restarts", "queries")


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    _check(values)
    epsilon = _epsilon(values)
    quiet.import_tensorflow()
    from rrelu_tf.attacks import evaluation, masking

    epsilon, trials = _protocol(values, epsilon)
    chosen = model_flags.load(values)
    _check_range(chosen, values)
    data, logits, batches = _target(chosen, values)
    print(f"model: {chosen.label}\ndata: {data.description}")
    result = evaluation.evaluate(
        logits, batches, trials, seed=values.attack_seed, progress=True
    )
    verdict = masking.check(result.figures, result.examples)
    _show(values.protocol, epsilon, result, verdict)
    if values.json is not None:
        figures = {
            "model": chosen.label,
            "data": data.description,
            "protocol": values.protocol,
            "epsilon": epsilon,
            "attack_seed": values.attack_seed,
            "batch_size": values.batch_size,
            **dataclasses.asdict(result),
            "gradient_masking": dataclasses.asdict(verdict),
        }
        atomic.write_text(values.json, json.dumps(figures, indent=2) + "\n")
        print(f"figures: {values.json}")


def _check(values):
    for name in ("samples", "steps", "restarts", "queries", "batch_size"):
        if values[name].value < 1:
            raise UserError(
                f"{name} must be at least 1. "
                f"Received: {name}={values[name].value}"
            )
    if not 0 <= values.attack_seed < 2**31:
        raise UserError(
            "attack_seed must lie in [0, 2**31). "
            f"Received: attack_seed={values.attack_seed}"
        )
    for name in _NOT_OF_SEED:
        if values.protocol == "seed" and values[name].present:
            raise UserError(
                f"The protocol seed fixes its {name}: leave --{name} out. "
                f"Received: {name}={values[name].value}"
            )
    if values.json is not None and not pathlib.Path(values.json).name:
        raise UserError(
            f"json must be the path of a file. Received: json={values.json}"
        )
    folder = pathlib.Path(values.json or ".").parent
    if not folder.is_dir():
        raise UserError(
            "The figures must go to a folder that exists. "
            f"Received: json={values.json}"
        )


def _epsilon(values):
    """The radius as a float; None for the protocol's own."""
    if values.epsilon is None:
        return None
    try:
        epsilon = float(fractions.Fraction(values.epsilon))
    except (ValueError, ZeroDivisionError, OverflowError):
        epsilon = 0.0
    if 0 < epsilon <= 1:
        return epsilon
    raise UserError(
        "epsilon must be a number or a fraction, greater than 0 and at most 1, "
        "the range of a pixel: 8/255, not 8. "
        f"Received: epsilon={values.epsilon}"
    )


def _protocol(values, epsilon):
    """(the radius, the trials that were asked for)."""
    from rrelu_tf import attacks
    from rrelu_tf.attacks import authors

    options = {} if values.attacks is None else {"names": values.attacks}
    if values.protocol == "seed":
        epsilon = epsilon or authors.EPSILON
        return epsilon, attacks.seed(epsilon=epsilon, **options)
    epsilon = epsilon or attacks.EPSILON
    options |= {name: values[name].value for name in _NOT_OF_SEED}
    return epsilon, attacks.correct(epsilon=epsilon, **options)


def _check_range(chosen, values):
    """Checks that the model's normalisation is known, not guessed."""
    if chosen.run is not None or chosen.preprocessing is not None:
        return
    if values.normalization in (None, "auto"):
        raise UserError(
            "An attack needs the range of the model's input: give --run, a "
            "model with a manifest beside it, or --normalization. "
            f"Received: model={chosen.path}"
        )


def _target(chosen, values):
    """(data, function to logits, batches of what it takes)."""
    from rrelu_tf.attacks import pixels, sampling
    from rrelu_tf.export import fitting

    data = data_flags.load(
        values,
        chosen.run,
        chosen.preprocessing,
        batch_size=values.batch_size,
    )
    fitting.check(chosen.model, data.image_shape, data.num_classes)
    logits = pixels.of_normalized(chosen.model)
    taken = data.preprocessing
    if values.protocol == "correct":
        logits = pixels.of_pixels(chosen.model, taken)
        taken = pixels.only_scaled(taken)
    batches = sampling.batches(
        data, values.samples, seed=values.attack_seed, preprocessing=taken
    )
    return data, logits, batches


def _show(protocol, epsilon, result, verdict):
    """The table, and whether to believe it."""
    from rich.console import Console

    units = "pixels" if protocol == "correct" else "normalised images"
    print(
        f"protocol {protocol}: {result.examples:,} test images, epsilon "
        f"{epsilon:.4g} of {units}"
    )
    Console().print(result.table())
    if verdict.failed:
        print(
            f"warning: gradient masking: {verdict.text}; these accuracies are "
            "no measure of robustness",
            file=sys.stderr,
        )
    else:
        print(f"gradient masking: {verdict.text}")
