"""A process beside this one: it calls in order, and leaves no trace when it hangs or dies."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kerascnn.runtime import background
from kerascnn.runtime.background import BackgroundProcess, CallError, LostError


@pytest.fixture
def process():
    made = BackgroundProcess()
    yield made
    made.kill()


def test_calls_are_answered_in_order(process):
    process.submit(os.putenv, "a", "b")
    futures = [process.submit(divmod, number, 2) for number in range(5)]
    assert [future.result() for future in futures] == [divmod(number, 2) for number in range(5)]
    assert process.submit(os.getpid).result() != os.getpid()


def test_arguments_are_sent_as_they_are_at_the_call(process):
    slow, values = process.submit(time.sleep, 0.2), [1]
    length = process.submit(len, values)
    values.append(2)
    assert (slow.result(), length.result()) == (None, 1)


def test_what_fails_there_is_told(process):
    with pytest.raises(CallError, match="ZeroDivisionError: "):
        process.submit(divmod, 1, 0).result()
    with pytest.raises(CallError, match="SystemExit: 3"):
        process.submit(sys.exit, 3).result()
    assert process.submit(abs, -1).result() == 1


def test_a_process_that_dies_is_lost_with_the_calls_after_it(process):
    futures = [process.submit(os._exit, 0), process.submit(abs, -1)]
    for future in futures:
        with pytest.raises(LostError):
            future.result()


def test_what_it_prints_does_not_disturb_the_answers(process):
    assert process.submit(os.write, 1, b"").result() == 0
    assert process.submit(print, "").result() is None


def test_ctrl_c_does_not_reach_it(process):
    pid = process.submit(os.getpid).result()
    assert os.getpgid(pid) != os.getpgid(0)


def test_it_is_killed_with_what_it_has_started(process):
    child = process.submit(os.spawnlp, os.P_NOWAIT, "sleep", "sleep", "60").result()
    process.submit(time.sleep, 60)
    process.kill()
    for _ in range(100):
        if ended(child):
            break
        time.sleep(0.02)
    assert ended(child)


def ended(pid):
    """Whether a process is gone, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_ends_when_this_process_is_killed():
    code = (
        "import os; from kerascnn.runtime.background import BackgroundProcess\n"
        "print(BackgroundProcess().submit(os.getpid).result(), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    for _ in range(100):
        if ended(int(done.stdout)):
            break
        time.sleep(0.02)
    assert ended(int(done.stdout))


ABANDONED = """
import os, sys, time
from kerascnn.runtime.background import BackgroundProcess
process = BackgroundProcess()
print(process.submit(os.getpid).result(), flush=True)
process.submit(time.sleep, 60)
time.sleep(0.3)
os.kill(os.getpid(), 9)
"""


def test_it_ends_in_the_midst_of_a_call_if_who_called_is_killed():
    done = subprocess.run([sys.executable, "-c", ABANDONED], stdout=subprocess.PIPE, check=False)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(int(done.stdout), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("it still runs")


def test_another_command_may_start_it():
    process = BackgroundProcess({"ASKED": "1"}, ["env", "LAUNCHED=2"])
    assert process.submit(os.getenv, "ASKED").result() == "1"
    assert process.submit(os.getenv, "LAUNCHED").result() == "2"
    process.close()


def test_it_is_closed_in_the_middle_of_a_call(process, monkeypatch):
    monkeypatch.setattr(background, "CLOSE_SECONDS", 0.1)
    call = process.submit(time.sleep, 60)
    process.close()
    with pytest.raises(LostError, match="its process was killed or crashed"):
        call.result()
