"""What turns raw pixels into a network's input, in evaluation and serving."""

import dataclasses
import json

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop and normalisation, in TensorFlow ops only.

    Evaluation data goes through `apply`, and an exported model embeds the very
    same function, so serving cannot drift from evaluation.

    Attributes:
        mean: per channel, for pixels scaled to 0..1.
        std: per channel, for pixels scaled to 0..1.
        image_shape: (height, width, channels) of the result, in pixels.
        resize: what the shorter side becomes before the centre crop, in
            pixels; None where images already have `image_shape`.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_shape: tuple[int, int, int]
    resize: int | None = None

    def apply(self, images):
        """Raw images to network input.

        Args:
            images: uint8 [b, height, width, channels]; where `resize` is set,
                [b, None, None, channels], of any height and width.

        Returns:
            float32 [b, *image_shape], normalised.
        """
        return self.normalize(self.fit(images))

    def fit(self, images):
        """Images brought to `image_shape`, values still 0..255.

        The shorter side becomes `resize` (bilinear, the other side rounded
        down), then the centre is cut out. Without antialiasing, whose
        operation OpenVINO cannot read: images that shrink come out sharper
        than from torchvision's Resize.
        """
        if self.resize is None:
            return images
        height, width, channels = self.image_shape
        shape = tf.shape(images)[1:3]
        shorter = tf.reduce_min(shape)
        target = shape * self.resize // shorter
        resized = tf.image.resize(images, target)
        top, left = tf.unstack((target - [height, width]) // 2)
        cut = resized[:, top : top + height, left : left + width]
        return tf.ensure_shape(cut, [None, height, width, channels])

    def normalize(self, images):
        """`(images / 255 - mean) / std` in float32, per channel.

        Images of another shape than `image_shape` are refused by TensorFlow.
        """
        height, width, channels = self.image_shape
        images = tf.ensure_shape(images, [None, *self.image_shape])
        scale = [1 / (255 * std) for std in self.std]
        offset = [
            -mean / std for mean, std in zip(self.mean, self.std, strict=True)
        ]
        # Row by row: broadcasting over 1 to 3 channels is four times slower.
        rows = tf.reshape(images, [-1, width * channels])
        rows = tf.cast(rows, tf.float32) * tf.constant(scale * width)
        rows += tf.constant(offset * width)
        return tf.reshape(rows, [-1, height, width, channels])

    def to_json(self):
        """Itself as a JSON string, which `from_json` reads back."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text):
        """The preprocessing that `to_json` wrote."""
        plain = json.loads(text)
        return cls(
            mean=tuple(plain["mean"]),
            std=tuple(plain["std"]),
            image_shape=tuple(plain["image_shape"]),
            resize=plain["resize"],
        )
