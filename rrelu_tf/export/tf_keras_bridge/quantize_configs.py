"""How TFMOT quantises this library's layers: QuantizeConfigs, in 8 bits."""

from rrelu_tf.export.tf_keras_bridge import legacy
from rrelu_tf.export.tf_keras_bridge.optimizable import register

_, tfmot = legacy.load()
_QUANTIZERS = tfmot.quantization.keras.quantizers


def _of_activations():
    return _QUANTIZERS.MovingAverageQuantizer(
        num_bits=8, per_axis=False, symmetric=False, narrow_range=False
    )


def _of_weights():
    return _QUANTIZERS.LastValueQuantizer(
        num_bits=8, per_axis=False, symmetric=True, narrow_range=True
    )


@register
class Moved(tfmot.quantization.keras.QuantizeConfig):
    """Of layers that move values: their scale is the input's already."""

    def get_weights_and_quantizers(self, layer):
        """None are quantised."""
        return []

    def get_activations_and_quantizers(self, layer):
        """None are quantised."""
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        """Nothing to set."""
        del layer, quantize_weights  # AutoGraph wants a body

    def set_quantize_activations(self, layer, quantize_activations):
        """Nothing to set."""
        del layer, quantize_activations  # AutoGraph wants a body

    def get_output_quantizers(self, layer):
        """None are quantised."""
        return []

    def get_config(self):
        """Nothing to tell."""
        return {}


@register
class Computed(Moved):
    """Of layers that compute new values: their output is quantised."""

    def get_output_quantizers(self, layer):
        """One, by the moving average of the range."""
        return [_of_activations()]


@register
class Weighted(Computed):
    """Of layers that combine their input with a small weight.

    Args:
        weight: the name of the layer's weight, which is quantised too.
        activation: whether the layer has an `activation`, whose output is.
    """

    def __init__(self, weight, activation=False):
        self.weight = weight
        self.activation = activation

    def get_weights_and_quantizers(self, layer):
        """The weight, by its largest value."""
        return [(getattr(layer, self.weight), _of_weights())]

    def set_quantize_weights(self, layer, quantize_weights):
        """Puts the quantised weight in the layer."""
        setattr(layer, self.weight, quantize_weights[0])

    def get_activations_and_quantizers(self, layer):
        """The activation, by the moving average of the range."""
        if not self.activation:
            return []
        return [(layer.activation, _of_activations())]

    def set_quantize_activations(self, layer, quantize_activations):
        """Puts the quantised activation in the layer."""
        if self.activation:
            layer.activation = quantize_activations[0]

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {"weight": self.weight, "activation": self.activation}
