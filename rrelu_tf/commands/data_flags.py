"""The flags that name a data set, where no run says which it is."""

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


def load(values, run=None, **options):
    """The data that the flags, or a run, name.

    Args:
        values: parsed flags.
        run: a `Run`, or None.
        **options: further arguments of `rrelu_tf.data.load`.

    Returns:
        A `rrelu_tf.data.Data`.

    Raises:
        UserError: for flags that a run decides, or anything wrong with the
            data.
    """
    from rrelu_tf import data

    named = given(values)
    options |= {"download": values.download}
    if values.data_dir is not None:
        options |= {"data_dir": values.data_dir}
    if run is None:
        return data.load(**{"dataset": "digits"} | named | options)
    for name, value in named.items():
        raise UserError(
            f"With --run the data are the run's own, and --{name} may not be "
            f"given. Received: {name}={value}"
        )
    return run.data(**options)
