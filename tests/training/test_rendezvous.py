"""Workers meet, or say who is missing; all of them are threads here."""

import concurrent.futures
import socket
import threading
import time

import pytest
from loopback import addresses

from rrelu_tf.errors import UserError
from rrelu_tf.training import rendezvous
from rrelu_tf.training.cluster import Cluster

LONG = 60.0  # seconds; never waited for


def meet(everyone, index, plan=None, timeout=LONG):
    plan = plan or {"epochs": 3}
    rendezvous.meet(Cluster(everyone, index), lambda: plan, timeout)


def errors(calls):
    """Runs calls side by side; the message of each, None without one."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(*call) for call in calls]
        found = [future.exception() for future in futures]
    assert all(e is None or isinstance(e, UserError) for e in found), found
    return [None if error is None else str(error) for error in found]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_come_in_any_order(order):
    everyone = addresses(3)
    assert errors([(meet, everyone, i) for i in order]) == [None] * 3


def test_one_worker_alone_waits_for_nobody():
    meet(addresses(1), 0, timeout=0.0)


def test_who_does_not_come_is_named_to_all_that_came():
    everyone = addresses(3)
    chief, other = errors([(meet, everyone, i, None, 1.0) for i in (0, 2)])
    rule = f"1 has not: {everyone[1]}. Received: peer_timeout=1"
    assert chief.endswith(rule)
    # Its own second may end before the chief's.
    late = f"1 has not: {everyone[0]}. Received: peer_timeout=1"
    assert other.endswith((rule, late))


def test_a_chief_that_does_not_come_is_named():
    everyone = addresses(2)
    with pytest.raises(UserError, match=f"not: {everyone[0]}. Rec.*=0.3$"):
        meet(everyone, 1, timeout=0.3)


@pytest.mark.parametrize("other", [{"epochs": 4}, {}])
def test_workers_with_other_flags_are_refused_and_so_is_the_chief(other):
    everyone = addresses(2)
    plans = ({"epochs": 3}, other or {"batch_size": 8})
    found = errors([(meet, everyone, i, plans[i]) for i in (0, 1)])
    assert found[0] == found[1]
    assert f"but {everyone[1]} another. Received: epochs=" in found[0]


def test_what_is_no_worker_is_passed_over():
    """A server of an earlier attempt at the chief's address, then a stranger
    that talks to the chief, then a worker that comes and goes."""
    everyone = addresses(2)
    host, port = everyone[0].split(":")
    stale = socket.create_server((host, int(port)))
    threading.Thread(target=hang_up, args=(stale,), daemon=True).start()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        worker = pool.submit(meet, everyone, 1)
        hung_up.wait(LONG)
        stale.close()
        chief = pool.submit(chief_when_free, everyone)
        for line in (
            b"PRI * HTTP/2.0\n",
            b'{"index": 7, "plan": {}}\n',
            b"{}\n",
        ):
            knock((host, int(port)), line)
        assert worker.result(LONG) is None and chief.result(LONG) is None


hung_up = threading.Event()


def hang_up(server):
    """Takes one call and says something else."""
    talk, _ = server.accept()
    with talk:
        talk.sendall(b"\x00\x00\x12\x04")
    hung_up.set()


def chief_when_free(everyone):
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        try:
            return meet(everyone, 0)
        except UserError:
            time.sleep(0.05)
    raise TimeoutError


def knock(address, line):
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(address, 1.0) as talk:
                talk.sendall(line)
                return
        except OSError:
            time.sleep(0.05)


def test_a_worker_that_came_and_went_is_waited_for_again():
    everyone = addresses(3)
    host, port = everyone[0].split(":")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        chief = pool.submit(meet, everyone, 0)
        knock((host, int(port)), b'{"index": 1, "plan": {"epochs": 3}}\n')
        second = pool.submit(meet, everyone, 2)
        with pytest.raises(concurrent.futures.TimeoutError):
            chief.result(0.5)
        first = pool.submit(meet, everyone, 1)
        for each in (chief, first, second):
            assert each.result(LONG) is None
