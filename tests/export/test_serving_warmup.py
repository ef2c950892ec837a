import numpy as np
import tensorflow as tf

from rrelu_tf.export import serving_warmup


def test_the_bytes_are_those_of_the_published_field_numbers(tmp_path):
    """The message, encoded by hand: (number << 3 | 2), length, content."""

    def field(number, content):
        assert len(content) < 128
        return bytes([number << 3 | 2, len(content)]) + content

    array = np.array([[1, 2]], np.uint8)
    tensor = tf.make_tensor_proto(array).SerializeToString()
    entry = field(1, b"images") + field(2, tensor)
    request = field(1, field(1, b"m") + field(3, b"s")) + field(2, entry)
    expected = field(6, field(1, request))

    path = tmp_path / "warmup"
    serving_warmup.write(path, "m", [("s", {"images": array})])
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    assert list(records) == [expected]


def test_a_message_reads_back():
    log = serving_warmup.prediction_log()
    log.predict_log.request.model_spec.name = "m"
    log.predict_log.request.inputs["a"].int_val.extend([1, 2])
    copy = serving_warmup.prediction_log()
    copy.ParseFromString(log.SerializeToString())
    assert copy == log
    assert list(copy.predict_log.request.inputs) == ["a"]
