"""Tools that take turns, round by round, each in a process of its own.

What compares them calls `by_turns` with the commands of its sides, and each
side calls `serve`. Only one process works at a time.
"""

import contextlib
import json
import subprocess
import sys
import tempfile

_ANSWER = "answer: "  # a side may print other lines


def serve(play, finish):
    """Plays a round for each line of stdin, then gives the result.

    Args:
        play: function without arguments, of one round.
        finish: function that returns a dict, called when stdin ends.
    """
    _answer(None)  # all is set up
    for _ in sys.stdin:
        play()
        _answer(None)
    _answer(finish())


def _answer(found):
    print(_ANSWER + json.dumps(found), flush=True)


def by_turns(commands, rounds):
    """What the sides found, in rounds whose order turns each time.

    Args:
        commands: dict: tool -> command (list) of its side.
        rounds: int.

    Returns:
        dict: tool -> dict; `{"error": ...}`, with the last line that it wrote
        to stderr, of a side that failed.
    """
    sides = {tool: _Side(command) for tool, command in commands.items()}
    order = [*sides.values()]
    for _ in range(rounds):
        for side in order:
            side.play()
        order.reverse()
    return {tool: side.finish() for tool, side in sides.items()}


class _Side:
    """A process that answers, until it fails."""

    def __init__(self, command):
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115, as long as it
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.read()

    def play(self):
        # One that died says why where it is read.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        self.read()

    def finish(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return self.read()

    def read(self):
        """The next answer."""
        for line in self.process.stdout:
            if line.startswith(_ANSWER):
                return json.loads(line.removeprefix(_ANSWER))
        self.log.seek(0)
        last = (self.log.read().splitlines() or [""])[-1]
        return {"error": f"exit code {self.process.wait()}: {last}"}
