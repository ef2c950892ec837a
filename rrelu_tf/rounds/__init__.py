"""Pruning in rounds: score, mask, strip, verify, retrain, and once more."""
