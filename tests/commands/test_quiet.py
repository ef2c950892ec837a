import os

import pytest

from rrelu_tf.commands import quiet


def test_what_is_logged_meanwhile_is_dropped(capfd):
    with quiet._held_back():
        os.write(2, b"noise")
    os.write(2, b"word")
    assert capfd.readouterr().err == "word"


def test_a_failure_shows_what_was_logged(capfd):
    with pytest.raises(ZeroDivisionError), quiet._held_back():
        os.write(2, b"cause")
        raise ZeroDivisionError
    assert capfd.readouterr().err == "cause"
