"""Where readers get channels back that were cut, and why."""

import numpy as np
from rich.table import Table

from rrelu_tf.analysis import reasons, text
from rrelu_tf.layers import ChannelGather


def table(top):
    """The readers of gathers that fill channels in, as a table.

    Args:
        top: the outermost `Level` of a stripped model.

    Returns:
        A row for each reader: how many channels it gets back, as constants,
        and why it needs them; "" where there are none.
    """
    made = Table("channels put back for", "class")
    made.add_column("channels", justify="right")
    made.add_column("why")
    for level, node in top.walk():
        if not isinstance(node.layer, ChannelGather):
            continue
        back = np.array(node.layer.indices) < 0
        if not back.any():
            continue
        fill = np.broadcast_to(node.layer.fill, back.shape)[back]
        readers = _readers(level, node.outputs[0])
        for at, reader in {id(each[1]): each for each in readers}.values():
            if reader is None:
                who = "an output of the model", ""
            else:
                who = at.key(reader), type(reader.layer).__name__
            why = reasons.wide(at, reader, fill)
            made.add_row(*who, f"{back.sum():,}", why)
    return text.render(made) + "\n" if made.row_count else ""


def _readers(level, tensor):
    """(level, node) of all that read a tensor, through further gathers."""
    for at, reader in level.readers(tensor):
        if reader is not None and isinstance(reader.layer, ChannelGather):
            yield from _readers(at, reader.outputs[0])
        else:
            yield at, reader
