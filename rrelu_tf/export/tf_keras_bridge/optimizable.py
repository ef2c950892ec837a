"""What TFMOT asks of layers that it does not know."""

from rrelu_tf.export.tf_keras_bridge import legacy

tf_keras, tfmot = legacy.load()

register = tf_keras.saving.register_keras_serializable(package="rrelu_tf")


class Optimizable(
    tfmot.sparsity.keras.PrunableLayer, tfmot.clustering.keras.ClusterableLayer
):
    """A tf_keras layer that TFMOT prunes, clusters and quantises.

    Attributes:
        kernels: names of the weights that are pruned and clustered.
    """

    kernels = ()

    def get_prunable_weights(self):
        """TFMOT's question: the weights that pruning may make sparse."""
        return [getattr(self, name) for name in self.kernels]

    def get_clusterable_weights(self):
        """TFMOT's question: the weights to be clustered, with names."""
        return [(name, getattr(self, name)) for name in self.kernels]

    def quantize_config(self):
        """The layer's TFMOT `QuantizeConfig`; None leaves it in float."""
        return None  # noqa: RET501


def _named(name, kernels):
    """The tf_keras layer of a name, and nothing else, as an Optimizable."""
    base = getattr(tf_keras.layers, name)
    body = {
        "kernels": kernels,
        "__doc__": f"`tf_keras.layers.{name}` that TFMOT prunes and clusters.",
    }
    return register(type(name, (Optimizable, base), body))


# Stock layers that are not in TFMOT's list, and would stop it.
STOCK = {
    name: _named(name, kernels)
    for name, kernels in {
        "Normalization": (),
        "UnitNormalization": (),
        "GroupNormalization": (),
        "PReLU": (),
        "DepthwiseConv1D": (),
        "Conv1DTranspose": ("kernel",),
        "EinsumDense": ("kernel",),
    }.items()
}


@register
class TimeDistributed(Optimizable, tf_keras.layers.TimeDistributed):
    """tf_keras's, which cannot be made again around a registered layer."""

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The layer of a configuration."""
        config = dict(config)
        layer = tf_keras.layers.deserialize(
            config.pop("layer"), custom_objects, use_legacy_format=False
        )
        return cls(layer, **config)


STOCK["TimeDistributed"] = TimeDistributed
