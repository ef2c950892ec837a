"""Embedding: a table whose columns are the channels."""

import keras
import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.table import rule


@rule(keras.layers.Embedding)
class Embedding(Rule):
    """`Embedding`: a column of one number is that number for any index."""

    barrier = None

    def covers(self, call):
        """No quantised table, no LoRA."""
        layer = call.layer
        return getattr(
            layer, "quantization_mode", None
        ) is None and not getattr(layer, "lora_enabled", False)

    def constant(self, call):
        """Columns of one number."""
        table = value(call.layer.embeddings).astype("float64")
        column = elements.common(table, 1, table.shape[1])
        return [elements.along(column, -1, len(call.shape_out()))]

    def twin(self, call):
        """The live columns."""
        width = call.shape_out()[-1]
        kept = np.flatnonzero(elements.vector(call.alive[0], -1, width))
        kept = kept if kept.size else np.array([0])
        return Twin(
            clone(call.layer, output_dim=len(kept)),
            [elements.whole(call.shape_in())],
            [elements.only(-1, kept, call.shape_out())],
            {"embeddings": value(call.layer.embeddings)[:, kept]},
        )
