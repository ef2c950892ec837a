"""Dead channels through pools, pads, crops and the like."""

import keras
import pytest
from keras import layers
from planned import around, rrelu

pytestmark = pytest.mark.usefixtures("float64")


def every(rank):
    """(name, layer) of all that Keras has of this rank."""
    kinds = {
        "MaxPooling": (2,),
        "AveragePooling": (2,),
        "AdaptiveMaxPooling": (2,),
        "AdaptiveAveragePooling": (2,),
        "ZeroPadding": (1,),
        "Cropping": (1,),
        "UpSampling": (2,),
        "SpatialDropout": (0.5,),
    }
    # TensorFlow pools no volumes in float64 on a CPU.
    for kind, options in kinds.items():
        if rank < 3 or "Pooling" not in kind:
            yield kind, getattr(layers, f"{kind}{rank}D")(*options, name=kind)
    for kind in ("GlobalMaxPooling", "GlobalAveragePooling"):
        for keepdims in (True, False):
            name = f"{kind}_{keepdims}"
            made = getattr(layers, f"{kind}{rank}D")
            yield name, made(keepdims=keepdims, name=name)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_dead_channels_go_through_what_keeps_channels_apart(
    rank, finish, check
):
    i = keras.Input((4,) * rank + (3,))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    outputs, expected = [], {"a": 2, "act": 2}
    for name, layer in every(rank):
        outputs.append(layers.Dense(2)(layer(x)))
        expected[name] = 2
    check(finish(i, outputs), expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_constants_go_through_where_no_frame_is_put_around(rank, finish, check):
    i = keras.Input((4,) * rank + (3,))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = layers.Activation("sigmoid", name="half")(x)
    outputs, expected = [], {"a": 2, "act": 2, "half": 2}
    for name, layer in every(rank):
        outputs.append(layers.Dense(2)(layer(x)))
        expected[name] = 4 if name == "ZeroPadding" else 2
    check(finish(i, outputs), expected)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_resizing(interpolation, fill, finish, check):
    layer = layers.Resizing(
        *(8, 6),
        interpolation=interpolation,
        pad_to_aspect_ratio=True,
        fill_value=fill,
        name="x",
    )
    width = 4 if fill else 2  # a frame of ones is no rule's business
    check(finish(*around(layer)), {"a": 2, "act": 2, "x": width})
