"""How much smaller a model is than its dense source."""

import dataclasses
import io

import numpy as np
from rich.table import Table

from rrelu_tf.analysis import text
from rrelu_tf.strip import keras_2


@dataclasses.dataclass(frozen=True)
class Compression:
    """A model's size beside that of its dense source.

    Attributes:
        params: every weight of the model, moving statistics included.
        dense_params: those of its source.
        file_bytes: size of a file of its weights.
        dense_file_bytes: that of its source.
    """

    params: int
    dense_params: int
    file_bytes: int
    dense_file_bytes: int

    @property
    def params_ratio(self):
        """Parameters of the source over those of the model."""
        return self.dense_params / self.params

    @property
    def file_ratio(self):
        """The OrthoReg authors' compression ratio: file over file."""
        return self.dense_file_bytes / self.file_bytes

    def table(self):
        """Both sizes and ratios, as text."""
        table = Table("")
        for name in ("dense", "model", "ratio"):
            table.add_column(name, justify="right")
        rows = (
            ("parameters", self.dense_params, self.params, self.params_ratio),
            (
                *("file, bytes", self.dense_file_bytes),
                *(self.file_bytes, self.file_ratio),
            ),
        )
        for name, dense, own, ratio in rows:
            table.add_row(name, f"{dense:,}", f"{own:,}", f"{ratio:.2f}")
        return f"{text.render(table)}\n"


def compression(model, dense):
    """Compares a model with its dense source.

    The OrthoReg authors' ratio is that of two files of `torch.save`: weights
    and moving statistics by their names. Here they are two NumPy archives of
    the same.

    Args:
        model: a `keras.Model`.
        dense: the `keras.Model` that it was made from.

    Returns:
        A `Compression`.

    Raises:
        UserError: a model of tf_keras.
    """
    sides = (model, dense)
    for side in sides:
        keras_2.refuse(side)
    sizes = [_file_bytes(side) for side in sides]
    return Compression(*(side.count_params() for side in sides), *sizes)


def _file_bytes(model):
    file = io.BytesIO()
    named = enumerate(model.weights)  # paths alone may repeat
    np.savez(file, **{f"{i}/{w.path}": np.asarray(w) for i, w in named})
    return file.tell()
