"""The examples that a score is computed from, in the order given."""

import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError


class Examples:
    """Checked batches of images and labels, as many as are asked for."""

    def __init__(
        self, data, forward, *, samples, batch_size, whole_batches=False
    ):
        """Looks at the data.

        Args:
            data: a `tf.data.Dataset` of (images, int labels `(batch,)`)
                batches, or a tuple (images, labels) of arrays.
            forward: the `Forward` of the model that the images are for.
            samples: int, the most examples to use.
            batch_size: int, examples in a batch that is cut from a tuple.
            whole_batches: whether, as in the OrthoReg authors' loops, a batch
                is used whole unless more than `samples` were seen before it.

        Raises:
            UserError: no data, or of another kind.
        """
        self._shapes = forward.input_shapes
        self._classes = forward.classes
        self._samples = samples
        self._whole = whole_batches
        self._batches = _batches(data, batch_size)

    def __iter__(self):
        """Yields (images, int32 labels), tensors.

        Raises:
            UserError: images that the model does not take, labels that are not
                among its classes, or not a single example.
        """
        seen = 0
        for images, labels in self._batches():
            left = self._samples - seen
            if left < 0 or (left == 0 and not self._whole):
                break
            if not self._whole:
                images = tf.nest.map_structure(lambda x, n=left: x[:n], images)
                labels = labels[:left]
            self._check_images(tf.nest.flatten(images))
            self._check_labels(labels, len(tf.nest.flatten(images)[0]))
            seen += len(labels)
            yield images, tf.cast(labels, tf.int32)
        if not seen:
            raise UserError(
                "A score needs at least one example. Received: examples=0"
            )

    def _check_images(self, images):
        shapes = [tuple(image.shape[1:]) for image in images]
        fits = len(shapes) == len(self._shapes) and all(
            len(given) == len(wanted)
            and all(w in (None, g) for g, w in zip(given, wanted, strict=True))
            for given, wanted in zip(shapes, self._shapes, strict=True)
        )
        if not fits:
            raise UserError(
                "Images must have the shape of the model's input, "
                f"{_listed(self._shapes)} each. "
                f"Received: images={_listed(shapes)}"
            )

    def _check_labels(self, labels, count):
        if not labels.dtype.is_integer or labels.shape != (count,):
            raise UserError(
                "Labels must be integers, one for each image. Received: labels="
                f"{labels.dtype.name} array of shape {tuple(labels.shape)}"
            )
        values = labels.numpy()
        wrong = values[(values < 0) | (values >= self._classes)]
        if wrong.size:
            raise UserError(
                "Labels must be classes of the model, 0 to "
                f"{self._classes - 1}. Received: label={wrong[0]}"
            )


def _batches(data, batch_size):
    """A function that gives an iterator over pairs of tensors."""
    if data is None:
        raise UserError(
            "A score by gradients needs data: a tf.data.Dataset of (images, "
            "labels) batches or a tuple (images, labels). Received: data=None"
        )
    if isinstance(data, tf.data.Dataset):
        spec = data.element_spec
        pairs = isinstance(spec, tuple) and len(spec) == 2
        if pairs and tf.nest.flatten(spec[1])[0].shape.rank == 1:
            return lambda: iter(data)
        raise UserError(
            "A data set must consist of (images, labels) batches. "
            f"Received: element_spec={spec}"
        )
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise UserError(
            "Data must be a tf.data.Dataset of (images, labels) batches or a "
            f"tuple (images, labels). Received: data={type(data).__name__}"
        )
    images = tf.nest.map_structure(np.asarray, data[0])
    labels = np.asarray(data[1])
    counts = {len(x) for x in (*tf.nest.flatten(images), labels) if x.ndim}
    if len(counts) != 1:
        raise UserError(
            "There must be as many labels as images. Received: "
            f"images={len(tf.nest.flatten(images)[0])}, labels={labels.size}"
        )
    (count,) = counts
    return lambda: _cut(images, labels, batch_size, count)


def _cut(images, labels, batch_size, count):
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        yield (
            tf.nest.map_structure(
                lambda x, p=part: tf.convert_to_tensor(x[p]), images
            ),
            tf.convert_to_tensor(labels[part]),
        )


def _listed(shapes):
    return ", ".join(map(str, shapes))
