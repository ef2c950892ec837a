import pytest
import tensorflow as tf

from rrelu_tf import attacks
from rrelu_tf.attacks import masking


def verdict(logits, batches, names):
    trials = attacks.correct(names, epsilon=0.2, steps=5, queries=99)
    result = attacks.evaluate(logits, batches, trials)
    return masking.check(result.figures, result.examples), result.figures


def test_an_ordinary_network_shows_no_sign(logits, batches):
    names = ["fgsm", "pgd", "margin", "square", "zero_gradient"]
    found, _ = verdict(logits, batches, names)
    assert not found.failed
    assert len(found.checked) == 3
    assert found.text.startswith("no sign of it")


@pytest.mark.parametrize(
    "hide",
    [
        lambda logits: lambda x: 1e4 * logits(x),
        lambda logits: lambda x: logits(tf.round(255 * x) / 255),
    ],
    ids=["saturated", "rounded"],
)
def test_hidden_gradients_are_flagged(logits, batches, hide):
    names = ["fgsm", "pgd", "square"]
    found, figures = verdict(hide(logits), batches, names)
    assert any("square is stronger" in text for text in found.failed)
    assert figures["pgd"] > figures["square"] + 0.1
    found, figures = verdict(hide(logits), batches, ["zero_gradient"])
    (text,) = found.failed
    assert text.endswith("of the images have no gradient")
    assert figures["zero_gradient"] > 0.5


@pytest.mark.parametrize(
    "figures, failed",
    [
        ({"pgd": 0.2, "fgsm": 0.2}, 0),
        ({"pgd": 0.21, "fgsm": 0.2}, 1),
        ({"pgd": 0.202, "fgsm": 0.2}, 1),
        ({"pgd": 0.201, "fgsm": 0.2}, 0),  # one image
        ({"pgd": 0.21, "fgsm": 0.2, "margin": 0.1}, 0),
        ({"pgd": 0.2, "square": 0.191}, 0),
        ({"pgd": 0.2, "square": 0.1}, 1),
        ({"pgd": 0.2, "fgsm": 0.1, "square": 0.1, "zero_gradient": 0.5}, 3),
        ({"pgd": 0.2, "zero_gradient": 0.01}, 0),
    ],
)
def test_each_check_has_its_threshold(figures, failed):
    found = masking.check(figures, 1000)
    assert len(found.failed) == failed
    assert ("no sign" in found.text) == (not failed)


def test_what_cannot_be_compared_is_not_called_sound():
    for figures in ({"clean": 0.9, "pgd": 0.1}, {"fgsm": 0.2, "square": 0.1}):
        assert masking.check(figures, 10).text.startswith("not checked")
