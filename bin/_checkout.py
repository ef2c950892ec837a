"""Makes the commands run from the checkout, in its virtual environment."""

import importlib.util
import os
import pathlib
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
_NEEDED = ("absl", "keras", "rich", "tensorflow", "tensorflow_datasets")


def _use():
    missing = [
        name for name in _NEEDED if importlib.util.find_spec(name) is None
    ]
    if missing:
        _switch(missing)
    sys.path.insert(0, str(CHECKOUT))


def _switch(missing):
    """Starts again in the checkout's environment, or says what to do."""
    python = CHECKOUT / ".venv" / "bin" / "python"
    here = pathlib.Path(sys.prefix).resolve() == (CHECKOUT / ".venv").resolve()
    if python.exists() and not here:
        os.execv(python, [str(python), *sys.argv])
    print(
        f"error: Python must have {', '.join(missing)}; run `make run` or "
        f"`pip install -e .` first. Received: python={sys.executable}",
        file=sys.stderr,
    )
    sys.exit(2)


_use()
