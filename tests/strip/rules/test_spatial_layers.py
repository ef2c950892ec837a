"""Dead channels through pools, pads, crops and the like."""

import keras
import pytest
from keras import layers, ops
from planned import around, rrelu

import rrelu_tf

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


def test_dead_channels_go_through_pools_of_volumes(finish, gap):
    keras.config.set_dtype_policy("float32")  # TensorFlow has no other there
    i = keras.Input((4, 4, 4, 3))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    pools = [
        layers.MaxPooling3D(2),
        layers.AveragePooling3D(2),
        layers.AdaptiveMaxPooling3D(2),
        layers.AdaptiveAveragePooling3D(2),
    ]
    model = finish(i, [layers.Dense(2)(pool(x)) for pool in pools])
    small = rrelu_tf.strip(model)
    assert small.get_layer("a").units == 2
    for pool in pools:
        assert small.get_layer(pool.name).output.shape[-1] == 2
    assert gap(model, small) < 1e-6


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


@pytest.mark.parametrize("size", [(4, 3), (8, 9)])  # cropped, or resized
def test_a_crop_of_the_centre(size, finish, check):
    layer = layers.CenterCrop(*size, name="x")
    check(finish(*around(layer)), {"a": 2, "act": 2, "x": 2})


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    "operation",
    [
        lambda x, **options: ops.average_pool(x, 2, 1, "same", **options),
        lambda x, **options: ops.max_pool(x, 2, **options),
        lambda x, **options: ops.image.resize(x, (4, 3), **options),
    ],
)
def test_operations_on_images(operation, first, finish, check):
    def turned(x):
        x = operation(
            layers.Permute((3, 1, 2))(x), data_format="channels_first"
        )
        return layers.Permute((2, 3, 1))(x)

    model = finish(*around(turned if first else operation))
    if first:  # TensorFlow pools none on a CPU
        assert rrelu_tf.strip(model).get_layer("a").units == 2
    else:
        check(model, {"a": 2, "act": 2})


def test_resizing_what_has_no_batch_is_a_barrier(finish, check):
    def resized(x):
        return ops.image.resize(x, (5, 2))

    i = keras.Input((5, 3), batch_size=3)
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = layers.Dense(2, name="b")(resized(x))
    check(finish(i, x), {"a": 2, "act": 2})
