"""Keeps from stderr what C++ libraries log there past every setting."""

import contextlib
import os
import sys
import tempfile

from rrelu_tf.errors import UserError


@contextlib.contextmanager
def held_back():
    """Holds back all that is written to file descriptor 2 meanwhile.

    It is dropped at the end, and after a `UserError`, which says itself what
    is wrong; after any other exception it is shown.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except UserError:
            raise
        except Exception:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
