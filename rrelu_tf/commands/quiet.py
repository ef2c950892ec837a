"""Imports TensorFlow without the lines it logs at every start."""

import contextlib
import os
import sys
import tempfile


def import_tensorflow():
    """Imports TensorFlow and lets it find its devices, in silence.

    TensorFlow's C++ parts write to stderr before any setting of theirs could
    keep them from it (no GPU here, oneDNN is on). Commands promise one line
    on stderr for an error, so these are dropped. If the import fails, all of
    them are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _held_back():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _held_back():
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
