import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.layers import ClassToken, PositionEmbedding

LAYERS = pytest.mark.parametrize("kind", [ClassToken, PositionEmbedding])


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_the_class_token_comes_first_and_is_everyones():
    layer = ClassToken("ones")
    x = normal(4, 3, 5)
    layer.build(x.shape)
    token = normal(5)
    layer.token.assign(token)
    outputs = layer(x).numpy()
    assert np.array_equal(outputs[:, 1:], x)
    assert np.array_equal(outputs[:, 0], np.tile(token, (4, 1)))


def test_each_place_has_a_vector_of_its_own():
    layer = PositionEmbedding("ones")
    x = normal(4, 3, 5)
    assert np.array_equal(layer(x).numpy(), x + 1)
    positions = normal(3, 5)
    layer.positions.assign(positions)
    assert np.array_equal(layer(x).numpy(), x + positions)


def test_any_number_of_tokens_takes_a_class_token():
    inputs = keras.Input((None, 5))
    model = keras.Model(inputs, ClassToken()(inputs))
    assert model.output_shape == (None, None, 5)
    for tokens in (1, 7):
        assert model(normal(2, tokens, 5)).shape == (2, tokens + 1, 5)


@LAYERS
def test_the_layers_survive_saving_and_loading(kind, tmp_path):
    initializer = keras.initializers.RandomNormal(stddev=0.5)
    inputs = keras.Input((3, 5))
    model = keras.Model(inputs, kind(initializer, name="tokens")(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = normal(2, 3, 5)
    assert np.array_equal(model(x), loaded(x))
    assert type(loaded.get_layer("tokens")) is kind
    assert loaded.get_layer("tokens").initializer.stddev == 0.5


@LAYERS
@pytest.mark.parametrize("policy", ["float64", "mixed_bfloat16"])
def test_the_layers_keep_to_the_dtype_policy(kind, policy):
    layer = kind(dtype=policy)
    outputs = layer(normal(2, 3, 5))
    assert outputs.dtype.name == layer.compute_dtype
    assert layer.weights[0].dtype == layer.variable_dtype


@LAYERS
@pytest.mark.parametrize("shape", [(2, 5), (2, 3, None), (2, 3, 4, 5)])
def test_other_inputs_are_refused_in_one_line(kind, shape):
    with pytest.raises(UserError) as caught:
        kind().build(shape)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"Received: input_shape={shape}")


def test_positions_need_a_known_number_of_tokens():
    with pytest.raises(UserError, match="known sizes"):
        PositionEmbedding()(keras.Input((None, 5)))
