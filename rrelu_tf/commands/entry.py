"""How every command starts: its own flags, one-line errors, exit codes."""

import difflib
import os
import re
import sys

from absl import flags

from rrelu_tf.errors import UserError

_HELP = {"--help", "-help", "--helpfull", "-helpfull", "-h"}
# As of a process that SIGPIPE ends, so that shells see nothing unusual.
_BROKEN_PIPE = 141


def run(flag_values, call, argv=None):
    """Parses the command line and calls the command.

    Args:
        flag_values: the `absl.flags.FlagValues` of this command alone.
        call: function of the parsed flags, returning an exit code or None.
        argv: list of strings, the program's name first; default `sys.argv`.

    Returns:
        int exit code: 0 done (or `--help`), 2 a mistake in what the user gave
        (one line on stderr), 130 interrupted from the keyboard, 141 when
        nobody reads stdout any more (`| head`); otherwise what `call`
        returned. Unforeseen exceptions propagate.
    """
    argv = list(sys.argv if argv is None else argv)
    try:
        code = _run(flag_values, call, argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # What is still buffered must not fail again when Python exits.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return _BROKEN_PIPE
    except SystemExit as leaving:
        # What rich makes of the same error.
        if isinstance(leaving.__context__, BrokenPipeError):
            return _BROKEN_PIPE
        raise


def _run(flag_values, call, argv):
    if _HELP.intersection(argv[1:]):
        print(_help(flag_values, call))
        return 0
    try:
        _parse(flag_values, argv)
        return call(flag_values) or 0
    except UserError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parse(flag_values, argv):
    # Commands may run several times in one process: flags start afresh.
    flag_values.unparse_flags()
    flag_values.set_gnu_getopt()
    try:
        rest = flag_values(argv)[1:]
    except (flags.Error, ValueError) as error:
        raise UserError(_explain(error, flag_values, argv)) from error
    if rest:
        raise UserError(
            "every argument must be a flag (--name=value). "
            f"Received: argument={rest[0]}"
        )


def _explain(error, flag_values, argv):
    """What absl found wrong, as a rule and what was received."""
    message = str(error)
    if isinstance(error, flags.UnrecognizedFlagError):
        near = difflib.get_close_matches(error.flagname, list(flag_values), n=1)
        hint = f"; did you mean --{near[0]}?" if near else "."
        return (
            f"every flag must be one that --help lists{hint} "
            f"Received: flag={error.flagname}"
        )
    if isinstance(error, flags.CantOpenFlagFileError):
        cause = error.__context__
        return (
            f"a flag file must be readable, but: {cause.strerror}. "
            f"Received: flagfile={cause.filename}"
        )
    if isinstance(error, UnicodeDecodeError):
        path = re.search(r"-flagfile[=\n]([^\n]*)", "\n".join(argv)).group(1)
        return f"a flag file must be text. Received: flagfile={path}"
    if message.startswith("flag --"):
        reason = f": {error.__context__}"
        given = message.removeprefix("flag --").removesuffix(reason)
        return f"{_rule(flag_values, given)}. Received: {given}"
    argument = re.search(r"-\S+", message).group()
    return (
        "a flag must be given as --name=value, or where it is on or off as "
        f"--name or --noname. Received: argument={argument}"
    )


def _rule(flag_values, given):
    """Which values the flag takes; `given` is name=value."""
    name = given.partition("=")[0]
    parser = flag_values[name].parser
    if flag_values[name].boolean:
        allowed = "true or false"
    elif isinstance(parser, flags.EnumParser):
        allowed = f"one of {', '.join(parser.enum_values)}"
    else:
        allowed = parser.syntactic_help
    return f"{name} must be {allowed}"


def _one_line(error):
    return " ".join(str(error).split())


def _help(flag_values, call):
    about = (sys.modules[call.__module__].__doc__ or "").strip()
    return f"{about}\n{flag_values.get_help(include_special_flags=False)}"
