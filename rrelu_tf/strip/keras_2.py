"""Models and layers of Keras 2, told from those of Keras 3."""

from rrelu_tf.errors import UserError


def refuse(thing):
    """Refuses what tf_keras or TFMOT made, saying what to call instead.

    Args:
        thing: any object; tf_keras is not imported to look at it.

    Raises:
        UserError: an object of a class of `tf_keras`, TFMOT's wrappers too.
    """
    kinds = type(thing).__mro__
    if not any(kind.__module__.split(".")[0] == "tf_keras" for kind in kinds):
        return
    kind = f"{kinds[0].__module__.split('.')[0]}.{kinds[0].__name__}"
    raise UserError(
        "rrelu_tf works on Keras 3, and this is of Keras 2 (tf_keras), TFMOT's:"
        " call tfmot.sparsity.keras.strip_pruning on what TFMOT wrapped, build "
        "the model again by `import keras`, give it "
        "set_weights(old.get_weights()) and call rrelu_tf.prune_channels. "
        f"Received: {getattr(thing, 'name', 'model')}={kind}"
    )
