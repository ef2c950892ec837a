"""The embedded data set: scikit-learn's real handwritten digits."""

import numpy as np

from rrelu_tf.data import recipes
from rrelu_tf.data.memory import MemorySplit
from rrelu_tf.data.sources.source import Source
from rrelu_tf.data.splitting import stratified

_TEST_FRACTION = 0.2
# Part of the data set's definition: the same test images for every run.
_TEST_SEED = 1797


def load():
    """1,797 images of 8x8 pixels; a fixed, stratified fifth is the test split.

    The pixels, 0..16 in scikit-learn, are scaled to 0..255.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten
    Digits", UCI Machine Learning Repository, 1998 (its test part).
    """
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int32)
    train, test = stratified(labels, _TEST_FRACTION, _TEST_SEED)
    return Source(
        name="digits",
        class_names=[str(name) for name in digits.target_names],
        image_shape=(8, 8, 1),
        train=MemorySplit(images[train], labels[train]),
        test=MemorySplit(images[test], labels[test]),
        origin="scikit-learn's load_digits",
        recipe=recipes.recipe("digits"),
    )
