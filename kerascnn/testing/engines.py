"""The checks of an engine: two processes at a time, which call, end, are killed and abandoned."""

import os
import signal
import socket
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from kerascnn.hookspecs import Engine, Launched, Process, kerascnn_engines
from kerascnn.runtime.background import BackgroundProcess
from kerascnn.runtime.process import restore_variable
from kerascnn.testing import placed
from kerascnn.testing.checks import CheckError, SkipError, Subject, check

START_SECONDS = 120.0  # a cluster may have to start a host
END_SECONDS = 30.0
SPELL_SECONDS = 0.5  # two calls of that length are to overlap


class EngineSubject(Subject):
    """An engine for two processes at a time."""

    kind = "engine"

    def make(self) -> Engine:
        made = self.bound.build(processes=2)
        if isinstance(made, Launched):
            raise SkipError("a launcher starts its processes")
        return made

    @cached_property
    def close(self) -> weakref.finalize:
        """Closes the engine, once: when it is called, or with the subject."""
        return weakref.finalize(self, self.made.close)

    @contextmanager
    def process(self, place: int = 0) -> Iterator[Process]:
        """A process that has answered a call."""
        _ = self.close
        process = self.made.start(place)
        try:
            _answer(process.submit(placed.identity), START_SECONDS)
            yield process
        finally:
            process.close()


def _answer(future: "Future[Any]", seconds: float = END_SECONDS) -> Any:
    try:
        return future.result(seconds)
    except TimeoutError as error:
        raise CheckError(f"no answer within {seconds:g} s") from error


def _fault(future: "Future[Any]", what: str) -> BaseException:
    """The exception of a future that must have one."""
    try:
        error = future.exception(END_SECONDS)
    except TimeoutError as late:
        raise CheckError(f"the future of {what} is not done within {END_SECONDS:g} s") from late
    if error is None:
        raise CheckError(f"the future of {what} has a result")
    return error


@check(kerascnn_engines)
def builds(subject: EngineSubject) -> str:
    """The builder returns a kerascnn.Engine with a place for each of two processes, on one or more
    hosts."""
    made = subject.made
    if made.places != 2 or made.hosts < 1:
        raise CheckError(f"{made.places} places on {made.hosts} hosts")
    return f"{made.hosts} host{'s' if made.hosts > 1 else ''}"


@check(Process)
def calls_functions(subject: EngineSubject) -> str:
    """submit calls functions in order, in another process, and gives what they return."""
    with subject.process() as process:
        futures = [process.submit(placed.called, number) for number in range(5)]
        found = [_answer(future) for future in futures]
        host, pid = _answer(process.submit(placed.identity))
    if (host, pid) == placed.identity():
        raise CheckError("the functions run in this process")
    if found != [list(range(last + 1)) for last in range(5)]:
        raise CheckError(f"of the calls 0 to 4, each answers with those so far: {found}")
    return f"on {host}"


@check(Process)
def tells_what_fails(subject: EngineSubject) -> None:
    """If a call fails, its future raises an exception whose text says why, and the next call
    works."""
    with subject.process() as process:
        error = _fault(process.submit(divmod, 1, 0), "divmod(1, 0)")
        if "zero" not in str(error):
            raise CheckError(f"of a division by zero it says {str(error)!r}")
        if _answer(process.submit(abs, -1)) != 1:
            raise CheckError("the next call gives another result")


@check(Engine)
def runs_side_by_side(subject: EngineSubject) -> None:
    """Processes in two places compute at the same time."""
    with subject.process(0) as first, subject.process(1) as second:
        futures = [process.submit(placed.spell, SPELL_SECONDS) for process in (first, second)]
        starts, ends = zip(*map(_answer, futures), strict=True)
        if max(starts) >= min(ends):
            raise CheckError("the second one waits for the first")


@check(Process)
def works_as_this_process(subject: EngineSubject) -> None:
    """A process has the working directory of this one, its environment variables that begin with
    KERASCNN, and its kerascnn."""
    before = os.environ.get(placed.VARIABLE)
    os.environ[placed.VARIABLE] = str(time.time())
    try:
        with subject.process() as process:
            there = _answer(process.submit(placed.surroundings))
        for what, value in placed.surroundings().items():
            if there[what] != value:
                raise CheckError(f"the {what} is {there[what]!r}, not {value!r}")
    finally:
        restore_variable(placed.VARIABLE, before)


@check(Process)
def terminates(subject: EngineSubject) -> None:
    """terminate sends SIGTERM, which the call that runs may handle."""
    with subject.process() as process:
        _answer(process.submit(placed.heed))
        heard = process.submit(placed.await_signal, END_SECONDS)
        process.terminate()
        if not _answer(heard, 2 * END_SECONDS):
            raise CheckError("no signal arrives")


@check(Process)
def closes_at_once(subject: EngineSubject) -> str:
    """close ends the process within 30 s, also in the middle of a call, whose future then raises
    an exception."""
    with subject.process() as process:
        host, pid = _answer(process.submit(placed.identity))
        future, start = process.submit(time.sleep, 600), time.monotonic()
    _fault(future, "a call that was running")
    _expect_ended(host, pid)
    return f"{time.monotonic() - start:.1f} s"


@check(Process)
def tells_what_is_lost(subject: EngineSubject) -> str:
    """If the process is killed, the future of its call raises an exception whose text says so."""
    with subject.process() as process:
        error = _fault(process.submit(placed.kill_itself), "a process that was killed")
    if not str(error):
        raise CheckError("the exception has no text")
    return str(error)


@check(Process)
def ends_with_this_process(subject: EngineSubject) -> None:
    """If the process that has started it is killed, a process ends within 30 s, also in the middle
    of a call."""
    starter = BackgroundProcess()
    try:
        here, (host, pid) = _answer(starter.submit(_abandon, subject), START_SECONDS)
        os.kill(here, signal.SIGKILL)
        _expect_ended(host, pid)
    finally:
        starter.kill()


@check(Engine)
def closes(subject: EngineSubject) -> None:
    """close raises nothing once all processes have ended."""
    subject.close()


def _expect_ended(host: str, pid: int) -> None:
    if host != socket.gethostname():
        raise SkipError(f"it ran on {host}")
    end = time.monotonic() + END_SECONDS
    while _exists(pid):
        if time.monotonic() > end:
            raise CheckError(f"it still runs after {END_SECONDS:g} s")
        time.sleep(0.05)


def _exists(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # a zombie has ended
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        if os.path.exists("/proc/self"):
            return False
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _abandon(subject: EngineSubject) -> tuple[int, tuple[str, int]]:
    """Leaves a process in the middle of a call; returns this process and that one."""
    process = subject.made.start(0)
    found = process.submit(placed.identity).result(START_SECONDS)
    process.submit(time.sleep, 600)
    time.sleep(0.2)  # for the call to begin
    _abandoned.append((subject, process))
    return os.getpid(), found


_abandoned: list[Any] = []
