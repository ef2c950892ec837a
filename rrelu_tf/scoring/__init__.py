"""Importance scores: one file each, one signature."""

from rrelu_tf.scoring.registry import check, methods, score, scores
