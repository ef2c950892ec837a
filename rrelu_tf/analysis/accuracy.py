"""How often a classifier is right, and its cross-entropy."""

import dataclasses

import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Score:
    """What `evaluate` measured.

    Attributes:
        accuracy: share of the examples classified correctly, in [0, 1].
        loss: mean cross-entropy, in nats, without label smoothing.
        examples: int, how many.
    """

    accuracy: float
    loss: float
    examples: int


def evaluate(classify, batches):
    """Accuracy and loss over a finite data set.

    Args:
        classify: function of images `(batch, ...)` to log-probabilities
            `(batch, classes)`.
        batches: iterable of (images, int labels `(batch,)`).

    Returns:
        A `Score`.

    Raises:
        UserError: if there are no examples.
    """
    correct, loss, examples = 0, 0.0, 0
    for images, labels in batches:
        logs, labels = np.asarray(classify(images)), np.asarray(labels)
        correct += int((logs.argmax(-1) == labels).sum())
        loss -= float(logs[np.arange(len(labels)), labels].sum(dtype="f8"))
        examples += len(labels)
    if not examples:
        raise UserError(
            "There must be at least one example to evaluate on. "
            "Received: examples=0"
        )
    return Score(correct / examples, loss / examples, examples)


def of_model(model):
    """`classify` of a `keras.Model` that gives logits."""

    @tf.function(autograph=False)
    def classify(images):
        logits = model(images, training=False)
        return tf.nn.log_softmax(tf.cast(logits, tf.float32))

    # Traced once, for batches of any size: TensorFlow warns of models that are
    # evaluated one after the other as of one that is traced again and again.
    images = model.inputs[0]
    traced = classify.get_concrete_function(
        tf.TensorSpec((None, *images.shape[1:]), images.dtype)
    )
    return lambda images: traced(tf.cast(images, traced.inputs[0].dtype))
