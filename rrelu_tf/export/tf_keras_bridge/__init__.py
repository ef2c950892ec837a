"""Models of Keras 3 as models of tf_keras, for TFMOT.

tf_keras and TFMOT are imported at the first call, not with this package.
"""

from rrelu_tf.export.tf_keras_bridge.bridge import to_tf_keras
from rrelu_tf.export.tf_keras_bridge.int8 import write_int8
from rrelu_tf.export.tf_keras_bridge.quantization import quantize_aware
