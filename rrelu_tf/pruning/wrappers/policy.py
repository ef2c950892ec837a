"""Which layers of a model are wrapped."""

import abc


class PruningPolicy(abc.ABC):
    """Narrows down what `rrelu_tf.prune_channels` wraps in a model.

    The twin of `tfmot.sparsity.keras.PruningPolicy`, of Keras 3 layers: any
    object with these two methods is one.
    """

    @abc.abstractmethod
    def allow_pruning(self, layer):
        """Whether a layer that has a score is to be wrapped.

        Args:
            layer: a built `keras.layers.Layer`.
        """

    def ensure_model_supports_pruning(self, model):  # noqa: B027
        """Raises what you like about a model; nothing unless overridden.

        Args:
            model: the `keras.Model` to be wrapped.
        """
