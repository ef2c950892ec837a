"""When channels go, and how many: TFMOT's schedules, without TFMOT."""

from rrelu_tf.pruning.schedules.base import PruningSchedule
from rrelu_tf.pruning.schedules.constant_sparsity import ConstantSparsity
from rrelu_tf.pruning.schedules.polynomial_decay import PolynomialDecay
from rrelu_tf.pruning.schedules.reading import asked, get, peak, serialize
