"""Image data sets as deterministic `tf.data` pipelines.

One function, `load`: what the user asked for in, training, validation and test
data out.
"""

from rrelu_tf.data.dataset import Data
from rrelu_tf.data.loading import load
from rrelu_tf.data.preprocessing import Preprocessing
