import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather

WIDTH = 6
INDICES = [
    [0, 1, 2, 3, 4, 5],  # everything
    [2],  # one
    [1, 2, 3],  # a run
    [3, 2, 1],  # backwards
    [0, 2, 5],  # holes
    [2, 2, 4, 2],  # duplicates
    [-1, -1, 0, 1, 2, 3, 4, 5, -1],  # option A: a run between zeros
    [-1, 4, -1],
    [1, -1, 2],  # a zero inside what would be a run
    [3, -1, 5],
    [0, -1, 1, 1, -1, -1],
    [-1],
    [-1, -1, -1, -1, -1, -1, -1, -1],
    [-1, 5, 0, -1],
]
CASES = pytest.mark.parametrize("indices", INDICES, ids=str)


def written_out(x, indices):
    columns = [
        np.zeros_like(x[..., 0]) if i < 0 else x[..., i] for i in indices
    ]
    return np.stack(columns, axis=-1)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape)


@CASES
@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_outputs_are_the_indexed_channels(indices, rank):
    x = normal(*(3, 2, 4, 2)[: rank - 1], WIDTH)
    layer = ChannelGather(indices, dtype="float64")
    outputs = layer(x)
    assert np.array_equal(outputs, written_out(x, indices))
    assert layer.compute_output_shape(x.shape) == outputs.shape
    assert not layer.weights


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("width", [255, 256, 257, 600])
def test_wide_and_integer_inputs_are_gathered_alike(width, dtype):
    x = (1000 * normal(4, width)).astype(dtype)
    indices = [width - 1, -1, 3, 0, width // 2, 3, -1]
    outputs = ChannelGather(indices, dtype=dtype)(x)
    assert np.array_equal(outputs, written_out(x, indices))


@CASES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3,), (3, 2, 4)])
def test_gradients_are_the_transposed_map(indices, shape, dtype):
    x = tf.constant(normal(*shape, WIDTH).astype(dtype))
    upstream = normal(*shape, len(indices)).astype(dtype)
    layer = ChannelGather(indices, dtype=dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x) * upstream)
    gradient = tape.gradient(
        loss, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    expected = np.zeros((*shape, WIDTH))
    for place, index in enumerate(indices):
        if index >= 0:
            expected[..., index] += upstream[..., place]
    tolerance = {"float32": 1e-6, "float64": 1e-14}[dtype]
    np.testing.assert_allclose(gradient, expected, tolerance, tolerance)


@CASES
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fill_takes_the_place_of_no_channel_along_any_axis(
    indices, axis, dtype
):
    x = normal(2, WIDTH, WIDTH).astype(dtype)
    fill = normal(len(indices)).astype(dtype)
    outputs = ChannelGather(
        indices, axis=axis, fill=fill.tolist(), dtype=dtype
    )(x)
    along = np.moveaxis(x, axis, -1)
    expected = written_out(along, indices)
    expected[..., np.array(indices) < 0] = fill[np.array(indices) < 0]
    assert np.array_equal(outputs, np.moveaxis(expected, -1, axis))


@CASES
def test_save_and_load_keep_the_map(indices, tmp_path):
    model = keras.Sequential(
        [keras.Input((4, WIDTH)), ChannelGather(indices, name="pick")]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = normal(2, 4, WIDTH).astype("float32")
    assert loaded.get_layer("pick").indices == indices
    assert np.array_equal(loaded(x), written_out(x, indices))


@CASES
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_and_jit(indices, policy):
    layer = ChannelGather(indices, dtype=policy)
    x = normal(2, 3, 3, WIDTH).astype("float32")
    outputs = layer(x)
    jitted = tf.function(layer, jit_compile=True)(x)
    assert outputs.dtype.name == policy.removeprefix("mixed_")
    assert layer(keras.Input((3, 3, WIDTH))).dtype == outputs.dtype.name
    half = tf.cast(x, outputs.dtype).numpy()
    assert np.array_equal(outputs, written_out(half, indices))
    assert np.array_equal(outputs, jitted)


@pytest.mark.parametrize("indices", [[1, 2, 3], [-1, 0, 1, -1]])
def test_a_run_is_a_slice_not_a_gather(indices):
    layer = ChannelGather(indices)
    graph = tf.function(layer).get_concrete_function(
        tf.TensorSpec((None, WIDTH))
    )
    kinds = {operation.type for operation in graph.graph.get_operations()}
    assert "StridedSlice" in kinds
    assert not kinds & {"Gather", "GatherV2"}


def test_numpy_indices_are_taken():
    layer = ChannelGather(np.array([2, -1]))
    assert layer.indices == [2, -1]
    assert type(layer.indices[0]) is int


def test_unknown_sizes_besides_the_channels_are_fine():
    inputs = keras.Input((None, None, WIDTH))
    assert ChannelGather([1, -1])(inputs).shape == (None, None, None, 2)


def test_a_mask_passes_through():
    x = normal(2, 4, WIDTH)
    x[:, 1:] = 0
    outputs = ChannelGather([0, -1])(keras.layers.Masking()(x))
    mask = keras.src.backend.get_keras_mask(outputs)
    assert np.array_equal(mask, [[True, False, False, False]] * 2)


@pytest.mark.parametrize("indices", [[], [-2, 0], [0, -7]])
def test_impossible_indices_are_refused(indices):
    with pytest.raises(UserError) as caught:
        ChannelGather(indices)
    assert str(caught.value).endswith(f"Received: indices={indices}")
    assert "\n" not in str(caught.value)


def test_an_index_beyond_the_input_is_refused():
    with pytest.raises(UserError, match=r"Received: max\(indices\)=6$"):
        ChannelGather([0, 6]).build((None, WIDTH))


def test_unknown_channels_are_refused():
    with pytest.raises(UserError, match="Received: input_shape="):
        ChannelGather([0]).build((None, 3, None))
