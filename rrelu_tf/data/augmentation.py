"""Training-time augmentation: pure functions of (images, random draws).

Each works on a whole batch with vectorised ops, and takes its randomness as
numbers uniform on [0, 1), one row per image: the caller decides what the row
depends on, and nothing here keeps a state.
"""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from rrelu_tf.data.preprocessing import Preprocessing

_ATTEMPTS = 10
_AREA = (0.08, 1.0)
_ASPECT = (3 / 4, 4 / 3)


def padding(side):
    """Pixels added around an image before a random crop.

    4 for sides of 28 pixels and more, as in the recipes for MNIST and CIFAR;
    an eighth of the side below that, at least 1.
    """
    return min(4, max(1, round(side / 8)))


def crop(images, draws, size, *, reflect=False, flip=False):
    """Pads each image, cuts a window of the old size, mirrors one in two.

    Args:
        images: [b, height, width, c], any dtype.
        draws: float32 [b, >= 2], uniform on [0, 1): top, left and, with
            `flip`, whether to mirror.
        size: (height, width) of the images, in pixels.
        reflect: pad with the mirrored border rather than with black.
        flip: whether to mirror left-right with probability 1/2.

    Returns:
        Images of the same shape and dtype.
    """
    height, width = size
    pad = padding(min(size))
    offsets = tf.cast(draws[:, :2] * (2 * pad + 1), tf.int32)
    rows = offsets[:, :1] + tf.range(height)
    columns = tf.broadcast_to(tf.range(width), [tf.shape(draws)[0], width])
    if flip:
        mirrored = draws[:, 2:3] < 0.5
        columns = tf.where(mirrored, width - 1 - columns, columns)
    columns += offsets[:, 1:2]
    if reflect:
        rows, columns = (
            _reflect(rows - pad, height),
            _reflect(columns - pad, width),
        )
    else:
        images = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    tall = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(tall, columns, axis=2, batch_dims=1)


def _reflect(indices, side):
    """Indices outside 0..side-1 mirrored at the border pixel."""
    return side - 1 - tf.abs(side - 1 - tf.abs(indices))


def inception(images, draws, size):
    """Random-resized crop and left-right flip, ImageNet's usual recipe.

    A window of 8 to 100 % of the area and of aspect ratio 3/4 to 4/3 (uniform
    in its logarithm), the first of ten tries that fits inside the image, else
    the largest central window of a permitted aspect ratio; resized bilinearly,
    without antialiasing. Source of the windows: torchvision's
    RandomResizedCrop, after Szegedy et al., "Going Deeper with Convolutions",
    2015.

    Args:
        images: [b, h, w, c], any h and w, values 0..255.
        draws: float32 [b, 23], uniform on [0, 1).
        size: (height, width) of the result, in pixels.

    Returns:
        float32 [b, *size, c], values 0..255.
    """
    top, left, flip, tries = tf.split(draws, [1, 1, 1, 2 * _ATTEMPTS], axis=1)
    shape = tf.cast(tf.shape(images)[1:3], tf.float32)
    window = _window(tries, shape)
    corner = tf.concat([top, left], axis=1) * (shape - window)
    # Boxes are in units of (side - 1), pixel centre to pixel centre.
    last = tf.maximum(shape - 1, 1)
    begin, end = corner / last, (corner + window - 1) / last
    y1, x1, y2, x2 = (begin[:, 0], begin[:, 1], end[:, 0], end[:, 1])
    mirrored = flip[:, 0] < 0.5
    x1, x2 = tf.where(mirrored, x2, x1), tf.where(mirrored, x1, x2)
    return tf.image.crop_and_resize(
        images,
        tf.stack([y1, x1, y2, x2], axis=1),
        tf.range(tf.shape(images)[0]),
        size,
    )


def _window(tries, shape):
    """(height, width) of each image's window, float32 [b, 2], whole pixels."""
    area = _AREA[0] + tries[:, :_ATTEMPTS] * (_AREA[1] - _AREA[0])
    area *= tf.reduce_prod(shape)
    low, high = tf.math.log(_ASPECT[0]), tf.math.log(_ASPECT[1])
    aspect = tf.exp(low + tries[:, _ATTEMPTS:] * (high - low))
    heights = tf.round(tf.sqrt(area / aspect))
    widths = tf.round(tf.sqrt(area * aspect))
    windows = tf.maximum(tf.stack([heights, widths], axis=2), 1)
    fits = tf.reduce_all(windows <= shape, axis=2)
    first = tf.argmax(tf.cast(fits, tf.int32), axis=1)
    chosen = tf.gather(windows, first, axis=1, batch_dims=1)
    height, width = shape[0], shape[1]
    central = tf.stack(
        [
            tf.minimum(height, tf.round(width / _ASPECT[0])),
            tf.minimum(width, tf.round(height * _ASPECT[1])),
        ]
    )
    return tf.where(tf.reduce_any(fits, axis=1)[:, None], chosen, central)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """One row of the table: the function, its draws, whether it resizes."""

    function: Callable | None
    draws: int
    resizes: bool = False


AUGMENTATIONS = {
    "none": Augmentation(None, 0),
    "crop": Augmentation(crop, 2),
    "crop_flip": Augmentation(functools.partial(crop, flip=True), 3),
    "reflect_crop_flip": Augmentation(
        functools.partial(crop, reflect=True, flip=True), 3
    ),
    "inception": Augmentation(inception, 3 + 2 * _ATTEMPTS, resizes=True),
}


@dataclasses.dataclass(frozen=True)
class TrainingTransform:
    """Augmentation by name, then the evaluation's own normalisation."""

    name: str
    preprocessing: Preprocessing

    @property
    def draws(self):
        """How many random numbers an image takes."""
        return AUGMENTATIONS[self.name].draws

    def __call__(self, images, draws):
        """Raw images and float32 [b, draws] to network input."""
        augmentation = AUGMENTATIONS[self.name]
        if not augmentation.resizes:
            images = self.preprocessing.fit(images)
        if augmentation.function is not None:
            size = self.preprocessing.image_shape[:2]
            images = augmentation.function(images, draws, size)
        return self.preprocessing.normalize(images)
