"""Workers wait for each other before TensorFlow connects them.

TensorFlow waits an hour for a worker that never comes, does not say for which,
and takes a dead worker's successor for the dead one. So each worker first
tells the chief, at the address at which TensorFlow will listen, that it is
there and what it is about to do. The chief answers when all have come.
"""

import contextlib
import json
import select
import socket
import time

from rrelu_tf.errors import UserError
from rrelu_tf.training import cluster as clusters

_PAUSE = 0.2  # seconds between two attempts to reach the chief
_PATIENCE = 5.0  # seconds that one line may take
_LONGEST = 2**20  # bytes of a line


def meet(cluster, plan, timeout):
    """Returns when all workers are there and agree.

    Args:
        cluster: a `Cluster`.
        plan: function without arguments: a dict, plain values for JSON, of what
            must be the same for all. It is called when the chief waits, who
            changes nothing any more then.
        timeout: float, seconds to wait.

    Raises:
        UserError: if this worker's port is taken, a worker does not come in
            time (it is named), or one has another plan (what differs is).
    """
    deadline = time.monotonic() + timeout
    with clusters.listen(cluster) as bound:
        if cluster.is_chief:
            _gather(cluster, plan(), timeout, deadline, bound)
        else:
            _report(cluster, plan, timeout, deadline)


def _gather(cluster, plan, timeout, deadline, bound):
    """The chief's part: collects the others and answers them all."""
    here = {}  # index -> (connection, plan)
    with contextlib.ExitStack() as stack:
        while len(here) < len(cluster.addresses) - 1:
            left = deadline - time.monotonic()
            if left <= 0:
                missing = [
                    address
                    for index, address in enumerate(cluster.addresses[1:], 1)
                    if index not in here
                ]
                problem = _missing(missing, timeout)
                _answer(here, problem)
                raise UserError(problem)
            waiting = {talk: index for index, (talk, _) in here.items()}
            ready, _, _ = select.select([bound, *waiting], [], [], left)
            for talk in ready:
                if talk is bound:
                    talk, _ = bound.accept()
                    stack.enter_context(talk)
                    said = _read(talk) or {}
                    if said.get("index") in range(1, len(cluster.addresses)):
                        here[said["index"]] = talk, said.get("plan") or {}
                else:  # says nothing more: it has gone again
                    here.pop(waiting[talk], None)
        problem = _differing(cluster, plan, here)
        _answer(here, problem)
        if problem:
            raise UserError(problem)


def _report(cluster, plan, timeout, deadline):
    """The others' part: reaches the chief and waits for its answer."""
    host = cluster.addresses[0].rpartition(":")[0]
    chief = host.strip("[]"), clusters.port(cluster.addresses[0])
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise UserError(_missing(cluster.addresses[:1], timeout))
        # A chief that is not there yet refuses; TensorFlow's server, where an
        # earlier attempt has not ended yet, hangs up or talks of other things.
        with contextlib.suppress(OSError):
            with socket.create_connection(chief, min(left, _PATIENCE)) as talk:
                _say(talk, {"index": cluster.index, "plan": plan()})
                # The chief's own time may begin and end later.
                answer = _read(talk, left + _PATIENCE)
            if answer and "problem" in answer:
                if answer["problem"]:
                    raise UserError(answer["problem"])
                return
        time.sleep(_PAUSE)


def _read(talk, patience=_PATIENCE):
    """The dict that a line of JSON holds; None where there is no such."""
    talk.settimeout(patience)
    try:
        with talk.makefile("rb") as lines:
            said = json.loads(lines.readline(_LONGEST))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _say(talk, said):
    talk.sendall(json.dumps(said).encode() + b"\n")


def _answer(here, problem):
    for talk, _ in here.values():
        with contextlib.suppress(OSError):  # its own timeout will tell it
            _say(talk, {"problem": problem})


def _missing(addresses, timeout):
    verb = "has" if len(addresses) == 1 else "have"
    return (
        f"Every worker must come within peer_timeout, and {len(addresses)} "
        f"{verb} not: {', '.join(addresses)}. "
        f"Received: peer_timeout={timeout:g}"
    )


def _differing(cluster, plan, here):
    """What one of the workers is about to do otherwise; None if all agree."""
    for index, (_, other) in sorted(here.items()):
        for name in plan:
            if other.get(name) != plan[name]:
                return (
                    f"All workers must have the same {name}, and the chief has "
                    f"{plan[name]}, but {cluster.addresses[index]} another. "
                    f"Received: {name}={other.get(name)}"
                )
    return None
