"""Makes the commands run from the checkout, in its virtual environment."""

import importlib.util
import os
import pathlib
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent


def _use():
    python = CHECKOUT / ".venv" / "bin" / "python"
    here = pathlib.Path(sys.prefix).resolve() == (CHECKOUT / ".venv").resolve()
    missing = importlib.util.find_spec("tensorflow") is None
    if missing and python.exists() and not here:
        os.execv(python, [str(python), *sys.argv])
    sys.path.insert(0, str(CHECKOUT))


_use()
