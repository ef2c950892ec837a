"""Warm-up requests, which TensorFlow Serving runs before it takes traffic.

It reads them from `assets.extra/tf_serving_warmup_requests`: a TFRecord file
of PredictionLog messages, at most 1000 (tensorflow.org/tfx/serving/
saved_model_warmup). The messages of tensorflow_serving/apis are declared here,
with those fields that a warm-up needs, so that the package
tensorflow-serving-api is not.
"""

import functools

import tensorflow as tf
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from tensorflow.core.framework import tensor_pb2

FILE = "tf_serving_warmup_requests"

_TENSOR = ".tensorflow.TensorProto"
# Message -> fields: (name, number, type), a type with a dot being a message.
# Source: model.proto, predict.proto and prediction_log.proto.
_MESSAGES = {
    "ModelSpec": (("name", 1, "string"), ("signature_name", 3, "string")),
    "PredictRequest": (
        ("model_spec", 1, ".tensorflow.serving.ModelSpec"),
        ("inputs", 2, f"map<string, {_TENSOR}>"),
    ),
    "PredictLog": (("request", 1, ".tensorflow.serving.PredictRequest"),),
    "PredictionLog": (("predict_log", 6, ".tensorflow.serving.PredictLog"),),
}


def write(path, model_name, requests):
    """Writes the file.

    Args:
        path: its path, `<version>/assets.extra/tf_serving_warmup_requests`.
        model_name: str.
        requests: iterable of (signature's name, dict of input arrays).
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            log = prediction_log()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, array in inputs.items():
                tensor = tf.make_tensor_proto(array).SerializeToString()
                request.inputs[name].ParseFromString(tensor)
            writer.write(log.SerializeToString())


def prediction_log():
    """An empty `tensorflow.serving.PredictionLog` message."""
    return _prediction_log_class()()


@functools.cache
def _prediction_log_class():
    # A pool of its own: the default one may hold tensorflow-serving-api's.
    pool = descriptor_pool.DescriptorPool()
    _add(pool, tensor_pb2.DESCRIPTOR)
    pool.Add(_file())
    descriptor = pool.FindMessageTypeByName("tensorflow.serving.PredictionLog")
    return message_factory.GetMessageClass(descriptor)


def _add(pool, file):
    for dependency in file.dependencies:
        _add(pool, dependency)
    pool.AddSerializedFile(file.serialized_pb)


def _file():
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/apis/prediction_log.proto",
        package="tensorflow.serving",
        dependency=[tensor_pb2.DESCRIPTOR.name],
        syntax="proto3",
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, *field)
    return file


def _add_field(message, name, number, kind):
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_OPTIONAL
    if kind == "string":
        field.type = field.TYPE_STRING
        return
    field.type, field.type_name = field.TYPE_MESSAGE, kind
    if kind.startswith("map<"):
        # A map is a repeated message of keys and values.
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, kind.split()[1].rstrip(">"))
        field.label = field.LABEL_REPEATED
        field.type_name = f".tensorflow.serving.{message.name}.{entry.name}"
