"""From Keras 3 to tf_keras: `rrelu_tf.export.to_tf_keras(model)`."""

import warnings

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.strip import keras_2
from rrelu_tf.strip.graph import trace


def to_tf_keras(model):
    """The same function as a tf_keras model, which TFMOT can work on.

    TensorFlow Model Optimization 0.8 takes tf_keras models alone. Here layers
    become the tf_keras layers of the same class and name, and those of this
    library and calls of `keras.ops` layers that TFMOT prunes, clusters and
    quantises: `tfmot.sparsity.keras.prune_low_magnitude`,
    `tfmot.clustering.keras.cluster_weights` take the whole model, and
    `rrelu_tf.export.quantize_aware` readies it for quantisation-aware
    training.

    The result is compared with its source on random inputs before it is
    returned: outputs differ by at most 1e-5 of the largest in float32.
    Weights, names, dtypes and which layers are trainable are the source's.
    It is not compiled.

    Args:
        model: a functional or built Sequential `keras.Model` of layers that
            both Kerases have and of those of `rrelu_tf.layers`; stripped and
            folded ones too. Left as it is.

    Returns:
        A functional `tf_keras.Model`.

    Raises:
        UserError: a layer that tf_keras does not have, or that computes
            something else there; it names the layer and the reason.

    Warns:
        UserWarning: regularisers and constraints that tf_keras does not have
            (`OrthoReg`), which are left out: they matter for training alone.
    """
    if keras_2.is_tf_keras(model):
        raise UserError(
            "to_tf_keras takes Keras 3 models, and this is one of tf_keras "
            "already: give it to TFMOT, or to rrelu_tf.export.quantize_aware. "
            f"Received: model={model.name}"
        )
    if not isinstance(model, keras.Model):
        raise UserError(
            "to_tf_keras takes a Keras 3 model. "
            f"Received: model={type(model).__name__}"
        )
    trace(model)  # refuses models without a graph
    from rrelu_tf.export.tf_keras_bridge import equality, translation

    made = translation.Translation()
    twin = made.model(model)
    equality.check(model, twin)
    if made.left:
        what = "; ".join(
            f"{name} ({', '.join(left)})" for name, left in made.left.items()
        )
        warnings.warn(
            f"tf_keras has no such regularisers or constraints, they are left "
            f"out: {what}",
            stacklevel=2,
        )
    return twin
