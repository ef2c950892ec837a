"""The flags that name a data set, where no run says which it is."""

import dataclasses

from absl import flags

from rrelu_tf.errors import UserError

# Flags that a run's own flags decide; None where they were not given.
_OF_A_RUN = (
    "dataset",
    "image_size",
    "normalization",
    "validation_split",
    "seed",
)


def define(flag_values):
    """Adds the flags to a command's `FlagValues`."""
    flags.DEFINE_string(
        "dataset",
        None,
        "Data set for a model without a run: digits (default), a TFDS name, "
        "or a folder with train/ and test/.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "image_size",
        None,
        "Side of the images, where they differ in size.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "normalization",
        None,
        "Mean and deviation to normalise by; default: the data set's own.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "validation_split",
        None,
        "Share of train that was held out for validation.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "seed", None, "Seed of that split.", flag_values=flag_values
    )
    flags.DEFINE_string(
        "data_dir", None, "Where the data set lies.", flag_values=flag_values
    )
    flags.DEFINE_boolean(
        "download",
        False,
        "Fetch the data set if it is not there.",
        flag_values=flag_values,
    )


def given(values):
    """Dict of those flags that name data and were given."""
    return {
        name: values[name].value
        for name in _OF_A_RUN
        if values[name].value is not None
    }


def load(values, run=None, preprocessing=None, **options):
    """The data that the flags, or a run, name.

    Args:
        values: parsed flags.
        run: a `Run`, or None.
        preprocessing: the `Preprocessing` that the model was trained with;
            None for the data set's own.
        **options: further arguments of `rrelu_tf.data.load`.

    Returns:
        A `rrelu_tf.data.Data`.

    Raises:
        UserError: for flags that a run decides or that contradict the
            preprocessing, or anything wrong with the data.
    """
    from rrelu_tf import data

    named = given(values)
    options |= {"download": values.download}
    if values.data_dir is not None:
        options |= {"data_dir": values.data_dir}
    if run is None:
        defaults = {"dataset": "digits"}
        if preprocessing is not None and preprocessing.resize is not None:
            defaults["image_size"] = preprocessing.image_shape[0]
        loaded = data.load(**defaults | named | options)
        return _prepared(loaded, preprocessing, named)
    for name, value in named.items():
        raise UserError(
            f"With --run the data are the run's own, and --{name} may not be "
            f"given. Received: {name}={value}"
        )
    return _prepared(run.data(**options), preprocessing, named)


def _prepared(loaded, preprocessing, named):
    """The data with the model's preprocessing in place of their own."""
    own = loaded.preprocessing
    if preprocessing is None or preprocessing == own:
        return loaded
    _check_agreement(own, preprocessing, named)
    transform = dataclasses.replace(
        loaded.transform, preprocessing=preprocessing
    )
    return dataclasses.replace(
        loaded, preprocessing=preprocessing, transform=transform
    )


def _check_agreement(own, preprocessing, named):
    """Checks the flags that were given against the model's preprocessing."""
    sizes = [(p.image_shape, p.resize) for p in (own, preprocessing)]
    scales = [(p.mean, p.std) for p in (own, preprocessing)]
    for name, pair in (("image_size", sizes), ("normalization", scales)):
        if name in named and pair[0] != pair[1]:
            raise UserError(
                f"The manifest beside the model has another {name}; leave "
                f"--{name} out. Received: {name}={named[name]}"
            )
    if own.image_shape != preprocessing.image_shape:
        shapes = [
            " x ".join(map(str, p.image_shape)) for p in (preprocessing, own)
        ]
        raise UserError(
            f"By its manifest the model takes images of {shapes[0]}; the data "
            f"have others. Received: image_shape={shapes[1]}"
        )
