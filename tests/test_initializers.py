import math

import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.initializers import Rotation

TAN_35, TAN_55 = 0.7002075, 1.4281480


def draw(count=200_000, **options):
    return keras.ops.convert_to_numpy(Rotation(**options)((count,)))


def test_slopes_lie_between_the_tangents_of_35_and_55_degrees():
    sizes = np.abs(draw(seed=1))
    assert sizes.min() >= TAN_35 - 1e-7
    assert sizes.max() <= TAN_55 + 1e-7
    # The whole interval is used, not a part of it.
    assert sizes.min() < TAN_35 + 1e-4
    assert sizes.max() > TAN_55 - 1e-4


def test_slopes_have_the_moments_of_the_authors_draws():
    slopes = draw(seed=2).astype("float64")
    sizes = np.abs(slopes)
    # Five standard errors of 200,000 draws.
    assert sizes.mean() == pytest.approx(1.06324, abs=0.0024)
    assert sizes.std() == pytest.approx(0.20952, abs=0.0015)
    assert np.median(sizes) == pytest.approx(1.06278, abs=0.004)
    assert (slopes**2).mean() == pytest.approx(1.17437, abs=0.005)
    assert (sizes > 1).mean() == pytest.approx(0.587, abs=0.006)
    assert (slopes > 0).mean() == pytest.approx(0.5, abs=0.006)


def test_slopes_follow_the_truncated_normal_not_the_uniform():
    sizes = np.sort(np.abs(draw(1_000_000, seed=3)).astype("float64"))
    cdf = np.vectorize(lambda x: 0.5 * math.erf((x - 1) / math.sqrt(6)))
    grid = np.linspace(TAN_35, TAN_55, 41)
    truth = (cdf(grid) - cdf(TAN_35)) / (cdf(TAN_55) - cdf(TAN_35))
    empirical = np.searchsorted(sizes, grid) / len(sizes)
    uniform = (grid - TAN_35) / (TAN_55 - TAN_35)
    noise = np.abs(empirical - truth).max()
    assert noise < 0.0018  # Kolmogorov-Smirnov at 1e6 draws, p = 0.002
    assert np.abs(empirical - uniform).max() > 2 * noise


def test_sign_and_size_are_independent():
    slopes = draw(seed=4)
    sizes = np.abs(slopes)
    gap = sizes[slopes > 0].mean() - sizes[slopes < 0].mean()
    assert abs(gap) < 0.005


def test_the_same_seed_gives_the_same_slopes():
    assert np.array_equal(draw(50, seed=7), draw(50, seed=7))
    assert not np.array_equal(draw(50, seed=7), draw(50, seed=8))


def test_seed_zero_is_a_seed():
    keras.utils.set_random_seed(1)
    first = draw(50, seed=0)
    keras.utils.set_random_seed(2)
    assert np.array_equal(first, draw(50, seed=0))


def test_set_random_seed_rules_unseeded_slopes():
    keras.utils.set_random_seed(5)
    first = [draw(50), draw(50)]
    keras.utils.set_random_seed(5)
    again = [draw(50), draw(50)]
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    keras.utils.set_random_seed(6)
    assert not np.array_equal(first[0], draw(50))


def test_one_initializer_repeats_its_slopes_as_keras_initializers_do():
    initializer = Rotation()
    first, second = initializer((20,)), initializer((20,))
    assert np.array_equal(first, second)


def test_other_angles_bound_the_slopes():
    sizes = np.abs(draw(min_degrees=44.0, max_degrees=60.0, seed=1))
    assert sizes.min() >= math.tan(math.radians(44)) - 1e-6
    assert sizes.max() <= math.sqrt(3) + 1e-6
    assert sizes.max() > 1.73


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_slopes_have_the_dtype_and_shape_asked_for(dtype):
    slopes = Rotation(seed=1)((3, 4), dtype=dtype)
    assert tuple(slopes.shape) == (3, 4)
    assert keras.backend.standardize_dtype(slopes.dtype) == dtype


def test_no_dtype_means_the_default_float_type():
    slopes = Rotation(seed=1)((3,))
    assert keras.backend.standardize_dtype(slopes.dtype) == "float32"


@pytest.mark.parametrize("seed", [3, None])
def test_serialisation_keeps_angles_and_seed(seed):
    source = Rotation(20, 60, seed=seed)
    config = keras.initializers.serialize(source)
    copy = keras.initializers.deserialize(config)
    assert type(copy) is Rotation
    assert copy.get_config() == {
        "min_degrees": 20.0,
        "max_degrees": 60.0,
        "seed": seed,
    }
    same = np.array_equal(source((30,)), copy((30,)))
    assert same == (seed is not None)


@pytest.mark.parametrize(
    ("least", "most"),
    [
        (0.0, 55.0),
        (-1.0, 55.0),
        (35.0, 90.0),
        (35.0, 120.0),
        (55.0, 35.0),
        (45.0, 45.0),
        (math.nan, 55.0),
        (35.0, math.nan),
    ],
)
def test_impossible_angles_are_refused_in_one_line(least, most):
    with pytest.raises(UserError) as caught:
        Rotation(least, most)
    message = str(caught.value)
    assert message.endswith(
        f"Received: min_degrees={least}, max_degrees={most}"
    )
    assert "\n" not in message


@pytest.mark.parametrize("seed", [1.5, "1", keras.random.SeedGenerator(1)])
def test_a_seed_that_is_not_an_int_is_refused(seed):
    with pytest.raises(UserError, match="Received: seed="):
        Rotation(seed=seed)
