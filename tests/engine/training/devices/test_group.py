"""Processes that train together: what they tell each other, and how they end.

Threads stand for processes, but where a process has to end.
"""

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from kerascnn.engine.training.devices.forming import LOOPBACK, join, lead, listen
from kerascnn.engine.training.devices.group import LostProcessError, Member
from kerascnn.engine.training.devices.link import Link


def member(rank, listener, **changes):
    given = Member(rank, 3, listener.getsockname(), "token", heartbeat_seconds=60, on_host=3)
    return replace(given, **changes)


@pytest.fixture
def trio():
    listener = listen(LOOPBACK)
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(join, member(rank, listener)) for rank in (1, 2)]
        group = lead(listener, member(0, listener))
        every = [group, *(other.result() for other in others)]
        yield every
        leave(every)


def leave(groups):
    """Closes all: one alone would end this process, in which all are."""
    for one in groups:
        one._closed.set()
    for one in groups:
        one.close()


def in_all(groups, call):
    with ThreadPoolExecutor(len(groups)) as pool:
        return list(pool.map(call, groups))


def test_the_first_shares_a_state_with_all(trio):
    sent = {"rate": 0.5, "none": None, "weights": [np.arange(6.0).reshape(2, 3)], "empty": {}}
    for came in in_all(trio, lambda one: one.share(sent if one.rank == 0 else None)):
        assert {**came, "weights": 0} == {**sent, "weights": 0}
        np.testing.assert_array_equal(came["weights"][0], sent["weights"][0])


def test_all_have_the_states_of_all_by_rank(trio):
    every = in_all(trio, lambda one: one.gather({"rows": np.full(one.rank, 7.0)}))
    assert [[len(state["rows"]) for state in states] for states in every] == [[0, 1, 2]] * 3


@pytest.mark.parametrize("decision", [True, False])
def test_the_first_decides(trio, decision):
    said = in_all(trio, lambda one: one.agree(decision if one.rank == 0 else not decision))
    assert said == [decision] * 3


def test_nothing_that_arrives_is_unpickled(trio):
    with pytest.raises(TypeError, match="Python objects"):
        trio[0].share({"weights": np.array([object()])})


def test_a_stranger_is_not_let_in():
    listener = listen(LOOPBACK)
    with ThreadPoolExecutor(2) as pool:
        leading = pool.submit(lead, listener, member(0, listener, count=2))
        other = Link(socket.create_connection(listener.getsockname()))
        other.greet("another token", 1, 2)
        kind, why = other._read()
        right = pool.submit(join, member(1, listener, count=2))
        assert (kind, why["why"][:15]) == ("fault", "another process")
        leave([leading.result(), right.result()])


ALONE = """
import os, sys, threading, time
from kerascnn.engine.training.devices.forming import join
from kerascnn.engine.training.devices.group import Member
group = join(Member({rank}, 3, {address!r}, "token", {seconds}, 3))
print("here", flush=True)
{then}
"""


def process(rank, listener, then, seconds=60):
    code = ALONE.format(rank=rank, address=listener.getsockname(), then=then, seconds=seconds)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("os._exit(9)", "process 2 of 3: its process was killed or crashed"),
        ("group.fail(ValueError('odd')); os._exit(1)", "process 2 of 3: ValueError: odd"),
    ],
)
def test_a_process_that_ends_ends_all(then, said):
    """Two more processes start: 2 s."""
    listener = listen(LOOPBACK)
    ending = f"time.sleep(1); {then}"  # once this one listens
    others = [process(1, listener, ending), process(2, listener, "time.sleep(60)")]
    lost = threading.Event()
    group = lead(listener, member(0, listener), lost.set)
    with pytest.raises(LostProcessError, match=said):
        group.gather({})
    group.close()
    assert lost.is_set()
    for other in others:
        other.wait(20)


def test_a_process_that_stops_is_missed():
    """It waits for the heartbeat: 4 s."""
    listener = listen(LOOPBACK)
    stop = "os.kill(os.getpid(), 19)"
    others = [process(1, listener, "time.sleep(60)", 1.5), process(2, listener, stop, 1.5)]
    group = lead(listener, member(0, listener, heartbeat_seconds=1.5))
    with pytest.raises(LostProcessError, match=r"process 3 of 3: gave no sign of life for 1.5 s"):
        group.gather({})
    group.close()
    others[0].wait(20)
    others[1].kill()


def test_processes_that_take_no_step_are_ended():
    """All live, and one of them never comes to a step: 4 s."""
    listener = listen(LOOPBACK)
    others = [process(rank, listener, "time.sleep(60)", 1.5) for rank in (1, 2)]
    group = lead(listener, member(0, listener, heartbeat_seconds=1.5))
    with pytest.raises(LostProcessError, match=r"no step was taken"), group.training():
        group.gather({})
    group.close()
    for other in others:
        other.wait(20)


def test_others_end_with_the_first():
    listener = listen(LOOPBACK)
    others = [process(rank, listener, "time.sleep(60)") for rank in (1, 2)]
    group = lead(listener, member(0, listener))
    started = time.monotonic()
    group.close()
    assert [other.wait(20) for other in others] == [1, 1]
    assert time.monotonic() - started < 15
