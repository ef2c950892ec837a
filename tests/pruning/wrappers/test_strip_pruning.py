"""What is left is smaller, the same function, and what is refused."""

import keras
import numpy as np
import pytest
import small_nets as nets

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.wrappers import PruneChannels
from rrelu_tf.pruning.wrappers.bare import wrappers


def masked(model=None, **options):
    """A wrapped model, every other channel of which is masked."""
    made = rrelu_tf.prune_channels(model or nets.conv_net(), **options)
    for wrapper in wrappers(made).values():
        wrapper.mask.assign(np.arange(wrapper.mask.shape[0]) % 2)
    return made


def test_the_masked_channels_are_gone_and_the_source_is_left_as_it_is():
    model = masked()
    before = model.get_weights()
    small = rrelu_tf.strip_pruning(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    kept = rrelu_tf.kept(small)
    assert kept["first"].tolist() == kept["norm"].tolist() == [1, 3, 5, 7]
    assert not any(isinstance(x, PruneChannels) for x in small.layers)
    assert small.output_shape == model.output_shape


def test_what_is_stripped_can_be_wrapped_and_stripped_again():
    once = rrelu_tf.strip_pruning(masked())
    twice = rrelu_tf.strip_pruning(masked(once))
    assert rrelu_tf.kept(twice)["first"].tolist() == [3, 7]
    assert twice.count_params() < once.count_params()


def test_coupled_channels_need_no_gather():
    small = rrelu_tf.strip_pruning(masked(), align="couple")
    kinds = {type(layer).__name__ for layer in small.layers}
    assert "ChannelGather" not in kinds


@pytest.mark.parametrize(
    ("model", "received"),
    [
        (lambda: "net", "model=str"),
        (nets.conv_net, "model=net"),
        (lambda: rrelu_tf.prune_channels(nets.conv_net()), "pruning_step=-1"),
        (lambda: keras.layers.Dense(2), "model=Dense"),
    ],
)
def test_nothing_to_strip_is_one_line(model, received):
    with pytest.raises(UserError) as caught:
        rrelu_tf.strip_pruning(model())
    assert str(caught.value).endswith(f"Received: {received}")
    assert "\n" not in str(caught.value)


def test_masks_that_cut_the_net_in_two_are_refused():
    model = masked(nets.dense_net())
    model.get_layer("wide").mask.assign(np.zeros(10))
    with pytest.raises(UserError, match="leave a way .* model=dense_net"):
        rrelu_tf.strip_pruning(model)


def test_nothing_unequal_is_returned(monkeypatch):
    from rrelu_tf.pruning.wrappers import stripping

    def other(model, align):
        small = rrelu_tf.strip(model, align=align)
        kernel, bias = small.get_layer("logits").get_weights()
        small.get_layer("logits").set_weights([kernel * 1.1, bias])
        return small

    monkeypatch.setattr(stripping, "strip", other)
    with pytest.raises(rrelu_tf.strip.NotEquivalent):
        rrelu_tf.strip_pruning(masked())
