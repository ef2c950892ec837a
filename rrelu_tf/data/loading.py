"""The one function of this package: what the user asks for, to `Data`."""

import difflib
import os

import numpy as np

from rrelu_tf.data import disk, recipes
from rrelu_tf.data.augmentation import AUGMENTATIONS, TrainingTransform
from rrelu_tf.data.dataset import Data
from rrelu_tf.data.preprocessing import Preprocessing
from rrelu_tf.data.sources import digits, folder, tfds_source
from rrelu_tf.data.sources.cache import Cache
from rrelu_tf.data.splitting import stratified
from rrelu_tf.errors import UserError

CACHES = ("auto", "memory", "disk", "none")
# The shorter side's resize before the centre crop: 256 for 224, as usual.
_RESIZE_RATIO = 256 / 224


def load(
    dataset="digits",
    *,
    data_dir=None,
    download=False,
    batch_size=128,
    validation_split=0.1,
    seed=0,
    image_size=None,
    augmentation="auto",
    normalization="auto",
    cache="auto",
    cache_dir=None,
):
    """Loads, checks and splits a data set.

    Everything that can be wrong with the data is found here, before any
    training: every record is read once, and every image of a folder decoded.

    Args:
        dataset: "digits" (embedded); a TensorFlow Datasets name whose features
            are `image` and `label`; or a directory with `train/` and `test/`,
            each with one folder of images per class.
        data_dir: TFDS's directory; None for its default.
        download: whether TFDS may download and prepare the data set.
        batch_size: examples per batch, over all replicas.
        validation_split: fraction of the train split held out for validation,
            in [0, 1); stratified by class, drawn from `seed`.
        seed: int in [0, 2**31); decides validation, order and augmentation,
            never the test split.
        image_size: side of a network input in pixels. Training then cuts a
            random-resized crop (unless the recipe or `augmentation` says
            otherwise); evaluation resizes the shorter side to
            `round(image_size * 256 / 224)` and cuts out the centre. Needed
            where images differ in size. None keeps the images' own size.
        augmentation: "none", "crop", "crop_flip", "reflect_crop_flip",
            "inception", or "auto" for the data set's recipe.
        normalization: "unit", "half" (to [-1, 1], as the OrthoReg authors),
            "imagenet", "cifar10", "cifar10_wrn", "standard" (mean and standard
            deviation of the training part), or "auto".
        cache: "memory" decodes everything once, "disk" once and for all later
            runs, "none" in every epoch; "auto" takes memory up to 1 GiB of
            decoded pixels.
        cache_dir: where "disk" keeps decoded images, a byte a pixel and
            channel; None for `rrelu_tf` in XDG_CACHE_HOME or ~/.cache.

    Returns:
        A `Data`.

    Raises:
        UserError: for anything impossible in the arguments or the data.
    """
    _check_numbers(batch_size, validation_split, seed, image_size)
    _check_choices(augmentation, normalization, cache)
    kept = Cache(cache, cache_dir or disk.default_folder())
    source = _source(os.fspath(dataset), data_dir, download, image_size, kept)
    training, validation = _split(source, validation_split, seed)
    preprocessing = _preprocessing(source, training, normalization, image_size)
    sized = image_size is not None
    name = recipes.augmentation(source.recipe, augmentation, sized=sized)
    transform = TrainingTransform(name, preprocessing)
    return _data(source, transform, training, validation, batch_size, seed)


def _source(dataset, data_dir, download, image_size, cache):
    """Picks the kind of source: embedded, folder, or TFDS."""
    if dataset == "digits":
        return digits.load()
    written_as_path = dataset.startswith((".", "~", os.sep))
    known = dataset in recipes.RECIPES
    if written_as_path or (not known and os.path.isdir(dataset)):
        return folder.load(dataset, image_size, cache)
    return tfds_source.load(dataset, data_dir, download, image_size, cache)


def _split(source, validation_split, seed):
    labels = source.train.labels
    if validation_split == 0:
        return np.arange(len(labels)), np.arange(0)
    return stratified(labels, validation_split, seed)


def _preprocessing(source, training, normalization, image_size):
    height, width, channels = source.image_shape
    resize = None
    if image_size is not None:
        height = width = image_size
        resize = round(image_size * _RESIZE_RATIO)
    mean, std = recipes.normalization(
        source.recipe,
        normalization,
        split=source.train,
        positions=training,
        channels=channels,
    )
    return Preprocessing(mean, std, (height, width, channels), resize)


def _data(source, transform, training, validation, batch_size, seed):
    return Data(
        name=source.name,
        class_names=source.class_names,
        preprocessing=transform.preprocessing,
        transform=transform,
        batch_size=batch_size,
        seed=seed,
        source=source,
        training_positions=training,
        validation_positions=validation,
    )


def _check_numbers(batch_size, validation_split, seed, image_size):
    if batch_size < 1:
        raise UserError(
            f"batch_size must be at least 1. Received: batch_size={batch_size}"
        )
    if not 0 <= validation_split < 1:
        raise UserError(
            "validation_split must lie in [0, 1). "
            f"Received: validation_split={validation_split}"
        )
    if not 0 <= seed < 2**31:
        raise UserError(f"seed must lie in [0, 2**31). Received: seed={seed}")
    if image_size is not None and image_size < 1:
        raise UserError(
            f"image_size must be at least 1. Received: image_size={image_size}"
        )


def _check_choices(augmentation, normalization, cache):
    _check_choice("augmentation", augmentation, AUGMENTATIONS)
    choices = (*recipes.NORMALIZATIONS, "standard")
    _check_choice("normalization", normalization, choices)
    _check_choice("cache", cache, CACHES)


def _check_choice(argument, value, choices):
    choices = ("auto", *(name for name in choices if name != "auto"))
    if value in choices:
        return
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    raise UserError(
        f"{argument} must be one of {', '.join(choices)}{hint} "
        f"Received: {argument}={value}"
    )
