"""Augmentation: what each draw does to an image."""

import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.data import load, recipes
from rrelu_tf.data.augmentation import (
    AUGMENTATIONS,
    TrainingTransform,
    crop,
    inception,
    padding,
)
from rrelu_tf.data.preprocessing import Preprocessing

CENTRE = 0.5
NO_FLIP = 0.9
FLIP = 0.1


@pytest.fixture
def image():
    """A picture whose pixels all differ, uint8 [1, 32, 32, 1]."""
    numbers = np.random.RandomState(0).permutation(1024) % 251 + 1
    return numbers.astype(np.uint8).reshape(1, 32, 32, 1)


def draws(*values):
    return tf.constant([values], tf.float32)


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (4, 4), (8, 3), (1, 8)])
def test_crop_is_a_window_of_the_padded_image(image, reflect, flip, top, left):
    mode = "reflect" if reflect else "constant"
    padded = np.pad(image[0], [(4, 4), (4, 4), (0, 0)], mode=mode)
    expected = padded[top : top + 32, left : left + 32]
    found = crop(
        tf.constant(image),
        draws((top + 0.5) / 9, (left + 0.5) / 9, FLIP),
        (32, 32),
        reflect=reflect,
        flip=flip,
    )
    expected = expected[:, ::-1] if flip else expected
    np.testing.assert_array_equal(found[0], expected)


def test_padding_is_four_pixels_and_one_for_the_tiny_digits():
    assert [padding(side) for side in (224, 32, 28, 16, 8, 3)] == [
        4,
        4,
        4,
        2,
        1,
        1,
    ]


def test_draws_reach_both_ends_and_never_beyond(image):
    top = np.float32(1) - np.finfo(np.float32).epsneg
    found = crop(tf.constant(image), draws(top, 0.0, 0.9), (32, 32))
    np.testing.assert_array_equal(found[0, :28, 4:], image[0, 4:, :28])


def test_flips_come_for_half_of_the_images_where_the_recipe_flips():
    row = np.arange(32, dtype=np.uint8) + 100
    images = tf.constant(np.broadcast_to(row[:, None], (2000, 32, 32, 1)))
    numbers = tf.random.stateless_uniform([2000, 3], [0, 1])
    flipped = crop(images, numbers, (32, 32), flip=True).numpy()
    rising = flipped[:, 16, 20, 0] > flipped[:, 16, 12, 0]
    assert 0.45 < rising.mean() < 0.55


def test_flips_never_come_for_digits():
    for name in ("digits", "mnist", "svhn_cropped"):
        for sized in (False, True):
            row = recipes.recipe(name)
            chosen = recipes.augmentation(row, "auto", sized=sized)
            assert chosen in ("none", "crop")
    data = load(validation_split=0)
    assert data.transform.name == "crop"
    images, _ = zip(*data.train(), strict=True)
    windows = shifted_originals(data.source.train.images)
    pixels = np.rint(np.concatenate(images) * 255).astype(np.uint8)
    assert {image.tobytes() for image in pixels} <= windows


def shifted_originals(images):
    """Every window of every padded image; none mirrored."""
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return {
        image[top : top + 8, left : left + 8].tobytes()
        for image in padded
        for top in range(3)
        for left in range(3)
    }


def test_recipes_are_those_of_the_papers():
    def chosen(name, sized=False):
        row = recipes.recipe(name)
        return recipes.augmentation(row, "auto", sized=sized)

    assert chosen("cifar10") == chosen("cifar100") == "crop_flip"
    assert chosen("fashion_mnist") == "crop_flip"
    assert chosen("mnist") == chosen("beans") == "none"
    assert chosen("imagenet2012") == chosen("cifar10", True) == "inception"
    mnist = recipes.recipe("mnist")
    assert recipes.augmentation(mnist, "crop_flip", sized=False) == "crop_flip"
    for row in recipes.RECIPES.values():
        assert row.augmentation in AUGMENTATIONS


def test_a_whole_image_window_is_a_plain_resize(image):
    # Area 100 %, aspect ratio 1: both log-uniform draws in the middle.
    numbers = draws(CENTRE, CENTRE, NO_FLIP, *[1.0] * 10, *[0.5] * 10)
    found = inception(tf.constant(image), numbers, (32, 32))
    np.testing.assert_allclose(found[0], image[0].astype(np.float32))
    numbers = draws(CENTRE, CENTRE, FLIP, *[1.0] * 10, *[0.5] * 10)
    mirrored = inception(tf.constant(image), numbers, (32, 32))
    np.testing.assert_allclose(mirrored[0], image[0, :, ::-1], rtol=1e-5)


def test_random_resized_crops_stay_inside_any_image():
    for shape in ((5, 200), (200, 5), (1, 1), (60, 80)):
        images = tf.fill([200, *shape, 3], tf.constant(7, tf.uint8))
        numbers = tf.random.stateless_uniform([200, 23], [0, 1])
        found = inception(images, numbers, (9, 9)).numpy()
        assert found.shape == (200, 9, 9, 3)
        np.testing.assert_allclose(found, 7)  # outside it would be 0


def test_training_equals_evaluation_without_augmentation(image):
    preprocessing = Preprocessing((0.4,), (0.2,), (32, 32, 1))
    transform = TrainingTransform("none", preprocessing)
    np.testing.assert_array_equal(
        transform(tf.constant(image), tf.zeros([1, 0])),
        preprocessing.apply(tf.constant(image)),
    )
