"""The GraSP score: what a filter does to the flow of the gradient."""

import sys

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.scoring import filters
from rrelu_tf.scoring.compiled import compiled
from rrelu_tf.scoring.workers import own_copy


def grasp(passes, *, temperature=200.0, per_class=100, classes=None):
    """The sum of w * (Hg) over a filter and its bias, signed.

    g is the gradient of the loss by all trainable weights, H its Hessian; the
    loss is the mean over the classes of the class's mean cross-entropy of
    logits / temperature, over the first `per_class` examples of each class
    (fewer, where there are no more; `samples` at most in all). To first order
    removing a filter lowers g . g by twice its score: the largest are kept.

    Source: Wang et al. (2020), "Picking Winning Tickets Before Training by
    Preserving Gradient Flow", equation 8, whose score is of a weight and has
    the other sign; the sum over a filter is the OrthoReg authors'.

    Args:
        passes: the `Passes` over a model and its data, which are gone over
            three times and have to come in the same order each time.
        temperature: float, what the logits are divided by.
        per_class: int, the most examples of a class.
        classes: int, labels 0 to classes - 1 are used; the model's if None.

    Returns:
        dict: key of each convolution or dense layer -> float64 (channels,).

    Raises:
        UserError: more classes than the model has, or without an example.
    """
    picked = _Picked(passes, classes, per_class)
    variables = _variables(passes)
    loss = _loss(passes.forward, temperature)
    tensors = [own_copy(variable) for variable in variables]
    shapes = [tuple(variable.shape) for variable in variables]
    workers = passes.workers
    gradient = _total(_gradient(loss, tensors), picked, shapes, workers)
    direction = [
        tf.cast(part, tensor.dtype)
        for part, tensor in zip(gradient, tensors, strict=True)
    ]
    along = _product(loss, tensors, direction)
    product = _total(along, picked, shapes, workers)
    by_variable = {
        id(variable): part * keras.ops.convert_to_numpy(variable)
        for variable, part in zip(variables, product, strict=True)
    }
    return {
        key: np.sum(
            filters.summed(
                layer, [by_variable[id(v)] for v in filters.weights(layer)]
            ),
            axis=0,
        )
        for key, layer in passes.kernels.items()
    }


class _Picked:
    """The first examples of each class, and how much each one weighs."""

    def __init__(self, passes, classes, per_class):
        known = passes.forward.classes
        classes = known if classes is None else classes
        if classes > known:
            raise UserError(
                f"The model has {known} classes, and no more can be asked for. "
                f"Received: classes={classes}"
            )
        self._examples = passes.examples(samples=sys.maxsize)
        self._left = passes.samples
        self._per_class = per_class
        self._counts = np.zeros(classes, int)
        for _, labels, _ in self._pick():
            np.add.at(self._counts, labels, 1)
        missing = np.flatnonzero(self._counts == 0)
        if missing.size:
            raise UserError(
                "grasp needs an example of every class, 0 to "
                f"{classes - 1}, and has none of class {missing[0]}. "
                f"Received: classes={classes}"
            )

    def __iter__(self):
        """Yields (images, labels, weights): the weights of all sum to 1."""
        weights = 1 / (len(self._counts) * self._counts)
        for images, labels, chosen in self._pick():
            yield (
                tf.nest.map_structure(
                    lambda x, c=chosen: tf.gather(x, c), images
                ),
                tf.convert_to_tensor(labels),
                tf.convert_to_tensor(weights[labels]),
            )

    def _pick(self):
        """Yields (all images of a batch, labels picked, their positions)."""
        room = np.full(len(self._counts), self._per_class)
        left = self._left
        for images, labels in self._examples:
            labels, chosen = labels.numpy(), []
            for place, label in enumerate(labels):
                if left and label < len(room) and room[label]:
                    room[label] -= 1
                    left -= 1
                    chosen.append(place)
            if chosen:
                yield images, labels[chosen], chosen
            if not left or not room.any():
                return


def _variables(passes):
    """What has a gradient: weights that train, and all kernels scored."""
    found = {id(v): v for v in passes.model.trainable_variables}
    for layer in passes.kernels.values():
        found |= {id(v): v for v in filters.weights(layer)}
    return list(found.values())


def _loss(forward, temperature):
    def loss(images, labels, weights):
        logits = forward(images) / temperature
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(losses * tf.cast(weights, losses.dtype))

    return loss


def _gradient(loss, tensors):
    """Function of a batch: its part of the gradient."""

    def gradient(*batch):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            value = loss(*batch)
        found = tape.gradient(
            value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return [tf.convert_to_tensor(part) for part in found]

    return gradient


def _product(loss, tensors, direction):
    """Function of a batch: its part of the Hessian times the direction.

    Backwards twice: it is traced in half the time that forwards over
    backwards takes, and then runs as fast.
    """
    gradient = _gradient(loss, tensors)

    def product(*batch):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            along = tf.add_n(
                [
                    tf.reduce_sum(part * fixed)
                    for part, fixed in zip(
                        gradient(*batch), direction, strict=True
                    )
                ]
            )
        return tape.gradient(
            along, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    return product


def _total(function, picked, shapes, workers):
    """The sum of the parts over all batches, float64 arrays."""
    function = compiled(function)
    total = [np.zeros(shape) for shape in shapes]
    for batch in workers.own(picked):
        parts = [part.numpy().astype("float64") for part in function(*batch)]
        total = list(map(np.add, total, parts))
    return workers.total(total)
