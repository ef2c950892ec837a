"""The plots of a network in training."""

import keras
import pytest

from rrelu_tf.layers import RReLU
from rrelu_tf.training import pictures


@pytest.mark.parametrize(
    "layers, names",
    [
        ([keras.layers.BatchNormalization], ["gammas.png"]),
        ([RReLU], ["alive.png", "slopes.png"]),
        (
            [keras.layers.BatchNormalization, RReLU],
            ["alive.png", "gammas.png", "slopes.png"],
        ),
        ([keras.layers.ReLU], []),
    ],
)
def test_what_a_net_has_is_drawn(layers, names, tmp_path):
    x = inputs = keras.Input((4,))
    for layer in layers:
        x = layer()(x)
    pictures.draw(tmp_path / "plots", keras.Model(inputs, x), 0.1)
    drawn = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert drawn == names
