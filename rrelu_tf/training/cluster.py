"""TF_CONFIG: which processes train together, and which of them this is."""

import dataclasses
import json
import os
import socket

from rrelu_tf.errors import UserError

VARIABLE = "TF_CONFIG"
_SHOWN = 200  # characters of it that an error repeats
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a job.

    Attributes:
        addresses: tuple of "host:port", the chief's first.
        index: int, this process's place in it.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self):
        """Whether this is the worker that writes."""
        return self.index == 0

    @property
    def address(self):
        """Of this worker."""
        return self.addresses[self.index]


def of_environment():
    """The `Cluster` of the variable TF_CONFIG.

    Raises:
        UserError: if it is not set, not JSON, without a cluster or a task of
            workers, or if its task is none of the cluster's.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        raise _wrong("must be set for the strategy multiworker", text)
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _wrong("must be JSON", text) from error
    for name in ("cluster", "task"):
        if not isinstance(config, dict) or name not in config:
            raise _wrong(f"must have a {name}", text)
    jobs = _jobs(config["cluster"], text)
    kind, index = _task(config["task"], text)
    there = [job for job, addresses in jobs.items() if addresses]
    if kind not in there:
        raise UserError(
            "The task's type must be one of the cluster's, "
            f"{', '.join(there)}. Received: type={kind}"
        )
    if not 0 <= index < len(jobs[kind]):
        raise UserError(
            f"The task's index must be from 0 to {len(jobs[kind]) - 1}, as the "
            f"cluster's {kind} has {len(jobs[kind])}. Received: index={index}"
        )
    place = index + (len(jobs["chief"]) if kind != "chief" else 0)
    return Cluster((*jobs["chief"], *jobs["worker"]), place)


def listen(cluster):
    """A socket that listens on this worker's port.

    Raises:
        UserError: if another process of this machine has it.
    """
    dual = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port(cluster.address)),
            family=socket.AF_INET6 if dual else socket.AF_INET,
            dualstack_ipv6=dual,
            backlog=len(cluster.addresses),
        )
    except OSError as error:
        reason = os.strerror(error.errno)
        raise UserError(
            "A worker's port must be free on its machine, but: "
            f"{reason}. Received: address={cluster.address}"
        ) from error


def port(address):
    """The port of "host:port"."""
    return int(address.rpartition(":")[2])


def _jobs(cluster, text):
    """Dict of the lists of addresses of chief and worker."""
    if not isinstance(cluster, dict) or not cluster:
        raise _wrong("must have a cluster of workers", text)
    strange = sorted(set(cluster) - {"chief", "worker"})
    if strange:
        raise UserError(
            "A cluster must be of workers and at most one chief. "
            f"Received: cluster={','.join(strange)}"
        )
    jobs = {"chief": [], "worker": []} | cluster
    everyone = []
    for kind, addresses in jobs.items():
        if not isinstance(addresses, list):
            raise UserError(
                'A cluster\'s addresses must be a list of "host:port". '
                f"Received: {kind}={addresses}"
            )
        everyone += addresses
    for address in everyone:
        _check_address(address)
        if everyone.count(address) > 1:
            raise UserError(
                "Each worker must have an address of its own. "
                f"Received: address={address}"
            )
    if not everyone:
        raise _wrong("must have a cluster of workers", text)
    if len(jobs["chief"]) > 1:
        raise UserError(
            "A cluster must be of workers and at most one chief. "
            f"Received: chief={','.join(jobs['chief'])}"
        )
    return jobs


def _check_address(address):
    host, _, number = str(address).rpartition(":")
    if not host or not number.isdecimal() or not 0 < int(number) < 2**16:
        raise UserError(
            'A worker\'s address must be "host:port", with a port from 1 to '
            f"65535. Received: address={address}"
        )


def _task(task, text):
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise _wrong("must have a task with type and index", text)
    index = task["index"]
    # Some launchers write it as text.
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    if type(index) is not int:
        raise UserError(
            f"The task's index must be a whole number. Received: index={index}"
        )
    return task["type"], index


def _wrong(rule, text):
    text = " ".join(text.split())
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return UserError(
        f"{VARIABLE} {rule}, like {_EXAMPLE}. Received: {VARIABLE}={shown}"
    )
