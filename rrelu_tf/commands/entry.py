"""How every command starts: its own flags, one-line errors, exit codes."""

import sys

from absl import flags

from rrelu_tf.errors import UserError

_HELP = {"--help", "-help", "--helpfull", "-helpfull", "-h"}


def run(flag_values, call, argv=None):
    """Parses the command line and calls the command.

    Args:
        flag_values: the `absl.flags.FlagValues` of this command alone.
        call: function of the parsed flags, returning an exit code or None.
        argv: list of strings, the program's name first; default `sys.argv`.

    Returns:
        int exit code: 0 done (or `--help`), 2 a mistake in what the user gave
        (one line on stderr), 130 interrupted from the keyboard; otherwise
        what `call` returned. Unforeseen exceptions propagate.
    """
    argv = list(sys.argv if argv is None else argv)
    if _HELP.intersection(argv[1:]):
        print(_help(flag_values, call))
        return 0
    try:
        _parse(flag_values, argv)
        return call(flag_values) or 0
    except (flags.Error, UserError) as error:
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
    except ValueError as error:
        # absl raises it for --noflag=value and for a flag file of no text.
        raise flags.Error(str(error)) from error
    if rest:
        raise UserError(
            "every argument must be a flag (--name=value). "
            f"Received: argument={rest[0]}"
        )


def _one_line(error):
    return " ".join(str(error).split())


def _help(flag_values, call):
    about = (sys.modules[call.__module__].__doc__ or "").strip()
    return f"{about}\n{flag_values.get_help(include_special_flags=False)}"
