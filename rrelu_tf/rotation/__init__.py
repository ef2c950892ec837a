"""Activations of any model become rotated: `rrelu_tf.rotate`."""

from rrelu_tf.rotation.rewriting import rotate
