"""Python programs that tests run in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent
_HANGS = 3600  # seconds


def start(*command, environment=(), **options):
    """Starts one, which finds this checkout; options are those of Popen."""
    path = [TESTS.parent, TESTS, os.environ.get("PYTHONPATH", "")]
    found = {"PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=os.environ | found | dict(environment),
        text=True,
        **options,
    )


def piped(*command, **options):
    """Starts one whose output and errors the test reads."""
    pipe = subprocess.PIPE
    return start(*command, stdout=pipe, stderr=pipe, **options)


def result(process):
    """What a piped program prints last, from JSON; it must end well."""
    with process:
        try:
            output, errors = process.communicate(timeout=_HANGS)
        finally:
            process.kill()
    assert process.returncode == 0, errors[-3000:]
    return json.loads(output.splitlines()[-1])
