import pytest
from absl import flags

from rrelu_tf.commands import entry
from rrelu_tf.errors import UserError


@pytest.fixture
def values():
    values = flags.FlagValues()
    flags.DEFINE_integer("size", 3, "A size.", flag_values=values)
    flags.DEFINE_boolean("quick", False, "Quick.", flag_values=values)
    return values


def run(values, *arguments, call=lambda flags: 0):
    return entry.run(values, call, ["program", *arguments])


def test_the_call_gets_the_flags_and_its_code_is_returned(values):
    assert run(values, "--size=5", call=lambda flags: flags.size) == 5
    assert run(values, call=lambda flags: None) == 0


def test_each_run_starts_from_the_defaults(values):
    run(values, "--size=5")
    assert run(values, call=lambda flags: flags.size) == 3


def test_a_flag_file_gives_flags(values, tmp_path):
    (tmp_path / "some.flags").write_text("# a remark\n--size=7\n")
    argument = f"--flagfile={tmp_path / 'some.flags'}"
    assert run(values, argument, call=lambda flags: flags.size) == 7


@pytest.mark.parametrize(
    "argument",
    ["--unknown=1", "--size=x", "word", "--noquick=1", "--flagfile=/absent"],
)
def test_a_wrong_argument_is_one_line_and_2(values, argument, capsys):
    assert run(values, argument) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert out == ""


def test_a_user_error_is_one_line_and_2(values, capsys):
    def call(flags):
        raise UserError("a rule\nbroken. Received: size=3")

    assert run(values, call=call) == 2
    message = "error: a rule broken. Received: size=3\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("flag", ["--help", "--helpfull"])
def test_help_lists_the_flags_and_calls_nothing(values, flag, capsys):
    def call(flags):
        raise AssertionError

    assert run(values, flag, call=call) == 0
    assert "--size" in capsys.readouterr().out


def test_the_keyboards_interrupt_is_130(values):
    def call(flags):
        raise KeyboardInterrupt

    assert run(values, call=call) == 130


def test_an_unforeseen_exception_propagates(values):
    def call(flags):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(values, call=call)
