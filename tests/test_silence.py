import os

import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.silence import held_back


def test_what_is_logged_meanwhile_is_dropped(capfd):
    with held_back():
        os.write(2, b"noise")
    os.write(2, b"word")
    assert capfd.readouterr().err == "word"


def test_a_failure_shows_what_was_logged(capfd):
    with pytest.raises(ZeroDivisionError), held_back():
        os.write(2, b"cause")
        raise ZeroDivisionError
    assert capfd.readouterr().err == "cause"


def test_a_user_error_speaks_for_itself(capfd):
    with pytest.raises(UserError), held_back():
        os.write(2, b"cause")
        raise UserError("a rule. Received: size=3")
    assert capfd.readouterr().err == ""
