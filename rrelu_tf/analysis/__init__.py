"""What a model costs and how it behaves: counts, latency, plots, reports."""

from rrelu_tf.analysis.compression import Compression, compression
from rrelu_tf.analysis.explain import explain
from rrelu_tf.analysis.orthogonality import orthogonality
from rrelu_tf.analysis.profile import Profile, profile
from rrelu_tf.analysis.ptflops import ptflops
from rrelu_tf.analysis.seed_convention import exact_convention, seed_convention
