"""Which layers of a model are wrapped."""

import abc

from rrelu_tf.errors import UserError
from rrelu_tf.strip import keras_2


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


def check(policy):
    """Refuses what is no policy, and TFMOT's, which looks at other layers."""
    has_both = all(
        callable(getattr(policy, name, None))
        for name in ("allow_pruning", "ensure_model_supports_pruning")
    )
    if not has_both or keras_2.is_tfmots(policy):
        shown = policy if isinstance(policy, str) else type(policy).__name__
        raise UserError(
            "pruning_policy must be a rrelu_tf.pruning.wrappers.PruningPolicy;"
            " one of TFMOT looks for layers of Keras 2 (tf_keras). "
            f"Received: pruning_policy={shown}"
        )
