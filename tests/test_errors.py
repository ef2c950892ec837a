import pytest

from rrelu_tf.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("One thing.\nAnother."), "One thing"),
        (ValueError("\n  led by blank lines:\n"), "led by blank lines"),
        (ValueError(), "ValueError"),
        (KeyError(), "KeyError"),
        (AssertionError(" \n"), "AssertionError"),
        (RuntimeError("..."), "RuntimeError"),
    ],
)
def test_the_first_line_says_something(error, line):
    assert first_line(error) == line
