"""The masks that were drawn after each epoch, and how far they lie apart."""

import base64
import json

import numpy as np

from rrelu_tf import atomic
from rrelu_tf.errors import UserError


class MaskHistory:
    """Masks of the same channels, one an epoch, and what follows from them.

    Nothing but the masks is kept: distances are computed from them, so that a
    history that was saved and read is the same.

    Attributes:
        widths: dict: layer -> how many channels it has; None before any mask.
    """

    def __init__(self):
        self.widths = None
        self._bits = {}  # epoch -> bool (channels of all layers,)

    def __len__(self):
        """How many epochs have a mask."""
        return len(self._bits)

    @property
    def epochs(self):
        """The epochs that have a mask, ascending, counted from 1."""
        return sorted(self._bits)

    def put(self, epoch, keep):
        """Keeps the mask of an epoch: dict: layer -> bool (channels,)."""
        self.widths = {key: len(stays) for key, stays in keep.items()}
        self._bits[epoch] = np.concatenate([*keep.values()])

    def mask(self, epoch):
        """The mask of an epoch, as it was put."""
        ends = np.cumsum([*self.widths.values()])[:-1]
        parts = np.split(self._bits[epoch], ends)
        return dict(zip(self.widths, parts, strict=True))

    def distance(self, epoch, queue):
        """How far a mask lies from the `queue - 1` before it.

        Returns:
            The largest of the normalised Hamming distances, the share of all
            channels in which two masks differ, in [0, 1]; None for the first.
        """
        at = self.epochs.index(epoch)
        before = self.epochs[max(0, at - queue + 1) : at]
        mask = self._bits[epoch]
        apart = [float(np.mean(mask != self._bits[e])) for e in before]
        return max(apart, default=None)

    def settled(self, queue, limit):
        """The first epoch whose queue is full and less than `limit` apart."""
        for epoch in self.epochs[queue - 1 :]:
            if self.distance(epoch, queue) < limit:
                return epoch
        return None

    def forget_after(self, epoch):
        """Drops the masks of later epochs, which are trained once more."""
        self._bits = {e: bits for e, bits in self._bits.items() if e <= epoch}

    def write(self, path, **notes):
        """Saves masks and notes, plain values, as JSON, whole or not at all.

        Raises:
            UserError: if the file cannot be written.
        """
        masks = {
            str(epoch): base64.b64encode(np.packbits(bits)).decode()
            for epoch, bits in sorted(self._bits.items())
        }
        content = {**notes, "widths": self.widths, "masks": masks}
        atomic.write_text(path, json.dumps(content, indent=1) + "\n")

    def read(self, path, **notes):
        """Takes over what `write` saved with the same notes; nothing if not.

        Raises:
            UserError: a file that is of other notes, or is not readable.
        """
        if not path.exists():
            return
        try:
            found = json.loads(path.read_text())
            self.widths = found["widths"]
            count = sum((self.widths or {}).values())
            self._bits = {
                int(epoch): _unpacked(text, count)
                for epoch, text in found["masks"].items()
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"The masks of the epochs must be readable. Received: {path=!s}"
            ) from error
        for name, value in notes.items():
            if found.get(name) != json.loads(json.dumps(value)):
                raise UserError(
                    f"The masks of the epochs are by another {name}, "
                    f"{found.get(name)}. Received: {name}={value}"
                )


def _unpacked(text, count):
    packed = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(packed, count=count).astype(bool)
