"""Train with rotated activations, strip dead channels, prove it, serve it.

The public names are loaded when they are first used, so that a command line
answers before TensorFlow is there.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "Backup": "rrelu_tf.training.backup",
    "EarlyBird": "rrelu_tf.pruning",
    "OrthogonalitySummaries": "rrelu_tf.training.orthogonality_summaries",
    "PruningSummaries": "rrelu_tf.pruning",
    "UpdatePruningStep": "rrelu_tf.pruning",
    "explain": "rrelu_tf.analysis",
    "fold": "rrelu_tf.export.fold",
    "kept": "rrelu_tf.strip",
    "mask": "rrelu_tf.pruning",
    "orthogonalize": "rrelu_tf.orthogonalization",
    "profile": "rrelu_tf.analysis",
    "prune_channels": "rrelu_tf.pruning",
    "recalibrate": "rrelu_tf.recalibration",
    "rotate": "rrelu_tf.rotation",
    "score": "rrelu_tf.scoring",
    "score_agreement": "rrelu_tf.pruning",
    "select": "rrelu_tf.pruning",
    "strip_pruning": "rrelu_tf.pruning",
    "verify": "rrelu_tf.strip",
}
_ROOMS = (
    "analysis",
    "attacks",
    "commands",
    "data",
    "errors",
    "export",
    "initializers",
    "layers",
    "models",
    "pruning",
    "regularizers",
    "reporting",
    "rounds",
    "scoring",
    "strip",
    "training",
)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"rrelu_tf.{name}")
    raise AttributeError(f"module 'rrelu_tf' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOMES, *_ROOMS])
