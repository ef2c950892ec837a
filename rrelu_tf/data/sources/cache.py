"""Where decoded images are kept."""

import dataclasses
import pathlib

from rrelu_tf.data import disk
from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Cache:
    """What the user asked for.

    Attributes:
        kind: "auto", "memory", "disk" or "none".
        folder: of the files of "disk".
    """

    kind: str
    folder: pathlib.Path

    def check(self, name, shape):
        """Refuses to keep images that differ in size.

        Args:
            name: of what they are in, for the message.
            shape: (height, width, channels); None where images differ.

        Raises:
            UserError: naming the kind of cache.
        """
        if self.kind in ("memory", "disk") and None in shape:
            raise UserError(
                f"the images of {name} differ in size and cannot be held in "
                f"{self.kind} as one array. Received: cache={self.kind}"
            )

    def keep(self, split, shape, files):
        """The `StreamSplit`, or what "disk" makes of it: `disk.cached`."""
        if self.kind != "disk":
            return split
        return disk.cached(split, shape, self.folder, files)
