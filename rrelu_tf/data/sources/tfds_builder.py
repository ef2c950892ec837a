"""Finding a TensorFlow Datasets builder whose files are in place."""

import difflib
import os
import re

from rrelu_tf.data import recipes
from rrelu_tf.data.sources.tfrecords import quiet
from rrelu_tf.errors import UserError, first_line

# name, name/config, name:version. A namespace, as in "huggingface:x", is not
# TFDS's own and wants further packages.
_NAME = re.compile(r"\w+(/[\w.-]+)?(:[\d.*]+)?")
# No network, no space, a file to fetch by hand, a package to install.
_DOWNLOAD_ERRORS = (
    AssertionError,
    ImportError,
    OSError,
    RuntimeError,
    ValueError,
)


def prepared(name, data_dir, download):
    """The data set's TFDS builder, its files in place.

    Args:
        name: TFDS name, with `/config` or `:version` where there are several.
        data_dir: TFDS's directory; None for its default.
        download: whether to download and prepare what is missing.

    Raises:
        UserError: for an unknown name, a missing or empty directory, a data
            set that is not there, or a download that fails.
    """
    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
        if not download:
            _check_directory(data_dir)
    with quiet():
        import tensorflow_datasets as tfds

        if not _NAME.fullmatch(name):
            raise _unknown(name, tfds)
        try:
            builder = tfds.builder(name, data_dir=data_dir)
        except tfds.core.DatasetNotFoundError:
            raise _unknown(name, tfds) from None
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"TFDS cannot build the data set: {first_line(error)}. "
                f"Received: dataset={name}"
            ) from error
        if builder.is_prepared():
            return builder
        if not download:
            raise UserError(
                f"data set {name} is not in data_dir, where TFDS looks for "
                f"{builder.name}/{builder.version}; pass --download to fetch "
                f"it. Received: data_dir={builder.data_dir_root}"
            )
        try:
            builder.download_and_prepare()
        except _DOWNLOAD_ERRORS as error:
            raise UserError(
                f"TFDS could not download and prepare {name}: "
                f"{first_line(error)}. Received: download={download}"
            ) from error
    return builder


def _check_directory(data_dir):
    if not os.path.exists(data_dir):
        rule = "data_dir must exist"
    elif not os.path.isdir(data_dir):
        rule = "data_dir must be a directory"
    elif not os.listdir(data_dir):
        rule = "data_dir must hold data sets that TFDS prepared; it is empty"
    else:
        return
    raise UserError(f"{rule}. Received: data_dir={data_dir}")


def _unknown(name, tfds):
    known = [*recipes.RECIPES]
    known += tfds.list_builders(with_community_datasets=False)
    near = difflib.get_close_matches(name, dict.fromkeys(known), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    return UserError(
        "dataset must be digits, a TensorFlow Datasets name or a directory "
        f"with train/ and test/{hint} Received: dataset={name}"
    )
