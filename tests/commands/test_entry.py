import os
import re
import shutil
import subprocess
import sys

import pytest
from absl import flags

from rrelu_tf.commands import entry
from rrelu_tf.errors import UserError


@pytest.fixture
def values():
    values = flags.FlagValues()
    flags.DEFINE_integer("size", 3, "A size.", flag_values=values)
    flags.DEFINE_float("rate", 0.5, "A rate.", flag_values=values)
    flags.DEFINE_boolean("quick", False, "Quick.", flag_values=values)
    flags.DEFINE_enum("kind", "a", ["a", "b"], "Kind.", flag_values=values)
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
    ("argument", "rule", "received"),
    [
        ("--foo", "one that --help lists", "flag=foo"),
        ("--sise=4", "did you mean --size?", "flag=sise"),
        ("--size=abc", "size must be an integer", "size=abc"),
        ("--size=a: b", "size must be an integer", "size=a: b"),
        ("--rate=fast", "rate must be a number", "rate=fast"),
        ("--quick=maybe", "quick must be true or false", "quick=maybe"),
        ("--kind=c", "kind must be one of a, b", "kind=c"),
        ("--noquick=1", "--name or --noname", "argument=--noquick=1"),
        ("--size", "given as --name=value", "argument=--size"),
        ("--flagfile", "given as --name=value", "argument=--flagfile"),
        ("--flagfile=/absent", "No such file", "flagfile=/absent"),
        ("--flagfile=/", "Is a directory", "flagfile=/"),
        ("word", "must be a flag", "argument=word"),
    ],
)
def test_a_wrong_argument_is_one_line_and_2(
    values, argument, rule, received, capsys
):
    assert run(values, argument) == 2
    out, err = capsys.readouterr()
    assert re.fullmatch(
        f"error: .*{re.escape(rule)}.* Received: {re.escape(received)}\n", err
    )
    assert out == ""


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"--foo=1\n", "flag=foo"),
        (b"--size=abc\n", "size=abc"),
        (b"--flagfile=/absent\n", "flagfile=/absent"),
        (b"--noquick=1\n", "argument=--noquick=1"),
        (b"\xff\xfe\xfa", "flagfile={path}"),
    ],
)
def test_a_wrong_flag_file_is_one_line_and_2(
    values, tmp_path, content, received, capsys
):
    path = tmp_path / "some flags"
    path.write_bytes(content)
    for arguments in ([f"--flagfile={path}"], ["--flagfile", str(path)]):
        assert run(values, *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert line.endswith(f" Received: {received.format(path=path)}")


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


@pytest.mark.parametrize(
    "show", ["print('x')", "import rich; rich.print('x')", "flags['help']"]
)
def test_nobody_reading_stdout_ends_it_quietly(repository, show):
    code = (
        "import sys\n"
        "from absl import flags\n"
        "from rrelu_tf.commands import entry\n"
        "def call(flags):\n"
        f"    {show}\n"
        "sys.exit(entry.run(flags.FlagValues(), call))\n"
    )
    options = ["--help"] if "help" in show else []
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code, *options],
        cwd=repository,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.fixture
def checkout(repository, tmp_path):
    """The commands alone, without packages, environment or library."""
    shutil.copytree(repository / "bin", tmp_path / "bin")
    return tmp_path


def start_without_packages(checkout):
    return subprocess.run(
        [sys.executable, "-E", "-S", checkout / "bin" / "train", "--epochs=1"],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_command_without_its_packages_says_what_to_run(checkout):
    done = start_without_packages(checkout)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "tensorflow" in line and "`make run`" in line
    assert line.endswith(f"Received: python={sys.executable}")


def test_a_command_without_its_packages_goes_to_the_environment(checkout):
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    done = start_without_packages(checkout)
    assert done.stdout == f"{checkout / 'bin' / 'train'} --epochs=1\n"
    assert (done.returncode, done.stderr) == (0, "")
