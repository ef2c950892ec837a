"""A pruned net's weights find a net of their widths."""

import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.models import seed_weights, torch_layout
from rrelu_tf.pruning import seed_pruned
from rrelu_tf.pruning.narrowing import narrow


@pytest.mark.parametrize(
    ("arch", "options"), [("mobilenet_v1", {}), ("resnet8_b", {"width": 0.5})]
)
def test_weights_of_a_pruned_net_compute_the_same_in_the_narrower_one(
    arch, options
):
    model = models.create(arch, num_classes=5, **options)
    options_of = {"sparsity": 0.5, "model": model, "protocol": "seed"}
    scores = rrelu_tf.score(model, "l1", protocol="seed")
    pruned = seed_pruned(model, rrelu_tf.select(scores, **options_of))
    arrays = {
        name: weight.array()
        for name, weight in torch_layout.weights(pruned).items()
    }
    new = models.create(arch, num_classes=5, **options)
    widths = seed_weights.narrower(new, arrays, "npz=net.npz")
    assert widths
    small = seed_weights.load_named(narrow(new, widths), arrays, "npz=net.npz")
    assert small.count_params() == pruned.count_params()
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    np.testing.assert_array_equal(small(images), pruned(images))
    with pytest.raises(UserError, match="knows what it kept"):
        rrelu_tf.kept(small)
