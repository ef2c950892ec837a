"""Lets tests import the module beside them."""

import pathlib
import sys

# pytest's import mode puts no folder of tests on the path.
sys.path.insert(0, str(pathlib.Path(__file__).parent))
