"""Dead-channel elimination: `rrelu_tf.strip(model)`.

The package is its own main function: `rrelu_tf.strip(model)` is
`rrelu_tf.strip.elimination.strip(model)`.
"""

import sys
import types

from rrelu_tf.strip import nested
from rrelu_tf.strip.elimination import strip
from rrelu_tf.strip.rules import register
from rrelu_tf.strip.stripped import kept
from rrelu_tf.strip.verify import Equivalence, NotEquivalent, verify


class _CallablePackage(types.ModuleType):
    def __call__(self, model, *, align="gather"):
        return strip(model, align=align)

    __call__.__doc__ = strip.__doc__


sys.modules[__name__].__class__ = _CallablePackage
