"""Calls in another process, while this one lacks a module: done whatever happens to it."""

import os
import signal

import pytest

from kerascnn.runtime.background import CallError, LostError
from kerascnn.runtime.beside import Beside


def test_another_process_calls():
    with Beside("absent") as beside:
        theirs, fails = beside.submit(os.getpid), beside.submit(divmod, 1, 0)
        assert theirs() != os.getpid()
        with pytest.raises(CallError, match="ZeroDivisionError"):
            fails()


def test_this_process_calls_if_it_has_imported_the_module():
    with Beside("os") as beside:
        assert beside.submit(os.getpid)() == os.getpid()


def test_calls_of_a_process_that_is_lost_are_made_here():
    with Beside("absent") as beside:
        theirs = beside.submit(os.getpid)()
        os.kill(theirs, signal.SIGKILL)
        assert beside.submit(os.getpid)() == os.getpid()


def test_after_the_end_nothing_is_called():
    with Beside("absent") as beside:
        waiting = beside.submit(os.getpid)
        beside.submit(os.getpid)()
        beside.submit(signal.pause)
        late = beside.submit(os.getpid)
    assert waiting() != os.getpid()
    with pytest.raises(LostError):
        late()
