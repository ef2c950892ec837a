"""Models and layers of Keras 2, told from those of Keras 3."""

from rrelu_tf.errors import UserError

_TFMOT = "tensorflow_model_optimization.python.core.sparsity"


def is_tf_keras(thing):
    """Whether something is an object of tf_keras, without importing it."""
    return _is_of("tf_keras", thing)


def is_tfmots(thing):
    """Whether something is an object of TFMOT's pruning, not imported."""
    return _is_of(_TFMOT, thing)


def refuse(thing, then="call this again"):
    """Refuses what tf_keras or TFMOT made, saying what to do instead.

    Args:
        thing: any object.
        then: what to do with the same model of Keras 3, for the message.

    Raises:
        UserError: an object of a class of `tf_keras`, TFMOT's wrappers too.
    """
    if not is_tf_keras(thing):
        return
    parts = (thing, *getattr(thing, "submodules", ()))
    strip = "call tfmot.sparsity.keras.strip_pruning on what TFMOT wrapped, "
    kind = type(thing)
    raise UserError(
        "rrelu_tf works on Keras 3, and this is of Keras 2 (tf_keras): "
        f"{strip if any(map(is_tfmots, parts)) else ''}build the model again "
        "by `import keras`, give it set_weights(old.get_weights()) and "
        f"{then}. Received: {getattr(thing, 'name', 'model')}="
        f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    )


def _is_of(package, thing):
    return any(
        f"{kind.__module__}.".startswith(f"{package}.")
        for kind in type(thing).__mro__
    )
