"""Several workers on this machine."""

import contextlib
import json
import socket


def addresses(count):
    """So many addresses of this machine that are free."""
    with contextlib.ExitStack() as stack:
        free = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(count)
        ]
        return tuple(f"127.0.0.1:{s.getsockname()[1]}" for s in free)


def config(everyone, index):
    """TF_CONFIG of one of the workers at some addresses."""
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": everyone}, "task": task})
