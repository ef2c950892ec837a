"""A training step with OrthoReg, protocol="seed", against the authors' own."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf

FILES = {"resnet56_b": "resnet56", "vgg13": "vgg13"}


@pytest.mark.parametrize("arch", FILES)
def test_loss_gradients_and_statistics_are_the_authors(authors, shared, arch):
    model, images, stored = authors(arch)
    folder = shared / "fixtures" / "orthoreg"
    about = json.loads((folder / f"{FILES[arch]}.json").read_text())
    net = rrelu_tf.orthogonalize(model, protocol="seed")

    def crossentropy(training):
        logits = net(images, training=training)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            stored["labels"], logits
        )
        return tf.reduce_mean(losses)

    def close(found, key, tolerance=1e-10):
        np.testing.assert_allclose(found, stored[f"exp/{key}"], tolerance)

    close(crossentropy(False), "ce_eval")
    with tf.GradientTape() as tape:
        loss = crossentropy(True)
        total = loss + tf.add_n(net.losses)
    close(loss, "ce_train")
    close(total, "loss_total")
    variables = [variable(net, row["name"]) for row in about["parameters"]]
    gradients = tape.gradient(total, [v.value for v in variables])
    close([float(tf.norm(g)) for g in gradients], "grad_l2")
    norms = [
        net.get_layer(row["bn"].replace(".", "_")) for row in about["layers"]
    ]
    close(np.concatenate([x.moving_mean for x in norms]), "bn_mean_after")
    close(np.concatenate([x.moving_variance for x in norms]), "bn_var_after")


def variable(net, name):
    """The variable of a PyTorch parameter's name."""
    path, _, kind = name.rpartition(".")
    layer = net.get_layer(path.replace(".", "_"))
    if isinstance(layer, keras.layers.BatchNormalization):
        return {"weight": layer.gamma, "bias": layer.beta}[kind]
    return {"weight": layer.kernel, "bias": layer.bias}[kind]
