"""The observers of an experiment, each in a process of its own; and how the end is told."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from kerascnn.components.component import BoundComponent
from kerascnn.components.entry_points import plugin_at_fault
from kerascnn.engine.observer import EVENTS, Observer, Only
from kerascnn.engine.training.devices.group import LostProcessError
from kerascnn.errors import KerascnnError, PassingError, RunError
from kerascnn.runtime.background import BackgroundProcess, CallError, LostError
from kerascnn.runtime.redact import scrubbed
from kerascnn.runtime.text import counted
from kerascnn.runtime.tracebacks import places, said
from kerascnn.tracking.tracker import Tracker

HEARING_SECONDS = 30.0  # that a run waits at its end for all observers together
OFTEN = ("download", "progress", "step")  # sent only to an observer that has heard all before
OFTEN_SECONDS = 0.5  # between two of these


@contextmanager
def observed(observers: Sequence[BoundComponent], own: Observer) -> Iterator[Observer]:
    """Passes events to `own`, and copies of them to each of the observers.

    Nothing that these do reaches the run. `own` is warned once of each of their faults. At the end
    of the block they have `HEARING_SECONDS` to hear what they have not heard yet.
    """
    if not observers:
        yield own
        return
    hearers = [_Hearer(bound, own) for bound in observers]

    def tell(event: str, *arguments: Any) -> None:
        getattr(own, event)(*arguments)
        for hearer in hearers:
            hearer.tell(event, arguments)

    try:
        yield Only(**{event: partial(tell, event) for event in EVENTS})
    finally:
        deadline = time.monotonic() + HEARING_SECONDS
        for hearer in hearers:
            hearer.end(deadline)


@contextmanager
def told(observer: Observer) -> Iterator[None]:
    """Tells the observer of an error that ends the run."""
    try:
        yield
    except KeyboardInterrupt as error:
        observer.interrupted(str(error) or "interrupted")
        raise
    except BaseException as error:
        observer.failed(scrubbed(str(error) or type(error).__name__))
        raise


@contextmanager
def explained(tracker: Tracker, what: str, resume: Callable[[str], str]) -> Iterator[None]:
    """Names what is tracked in an error that is not kerascnn's own, and how to resume it.

    One that may pass names how to resume, too. One in a plugin's code does not: nothing is resumed
    with other code.

    Args:
        what: "run" or "study".
        resume: The command that resumes the one with this id.
    """
    try:
        yield
    except PassingError as error:
        if tracker.run_id is None:
            raise
        again = resume(tracker.run_id[:8])
        raise PassingError(f"{error}\n`{again}` resumes the {what}.") from error
    except KerascnnError:
        raise
    except BaseException as error:
        if tracker.run_id is None:
            raise
        short = tracker.run_id[:8]
        again = f"`{resume(short)}` resumes the {what}."
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"interrupted; {again}") from None
        if isinstance(error, LostProcessError):
            raise RunError(lost(tracker.run_id, str(error), resume, what)) from error
        failed, plugin = f"{what} {short} failed: {said(error)}", plugin_at_fault(error)
        raise RunError(failed + (plugin or f"\n{again}")) from error


def lost(run_id: str | None, fault: str, resume: Callable[[str], str], what: str = "run") -> str:
    """Says that a process is lost, and how to resume what is tracked under an id."""
    fault = fault.rstrip(".")
    if run_id is None:
        return f"{fault}."
    short = run_id[:8]
    return f"{what} {short} failed: {fault}.\n`{resume(short)}` resumes the {what}."


class _Hearer:
    """One observer: the process that it is in, and the events that it has not answered yet."""

    def __init__(self, bound: BoundComponent, own: Observer) -> None:
        self._name = bound.name
        self._who = str(bound.registered)
        self._own = own
        self._waiting: deque[Future[tuple[str, str] | None]] = deque()
        self._faults: set[str] = set()
        self._often_at = 0.0
        self._process: BackgroundProcess | None = None  # None: it receives no events
        try:
            self._process = BackgroundProcess()
        except OSError as error:
            own.warned(f"{self._who} cannot be started: {error}; the run continues without it.")
        self._submit(_build, bound)

    def tell(self, event: str, arguments: tuple[Any, ...]) -> None:
        self._read_answers()
        if event in OFTEN:
            now = time.monotonic()
            if self._waiting or now - self._often_at < OFTEN_SECONDS:
                return
            self._often_at = now
        self._submit(_hear, event, arguments)

    def end(self, deadline: float) -> None:
        with suppress(KeyboardInterrupt):  # it skips the wait
            self._wait(deadline)
        if self._process is None:
            return
        if self._waiting:
            count = counted(len(self._waiting), "event")
            self._own.warned(
                f"{self._who} was stopped before it had handled the last {count}; a run waits at "
                f"most {HEARING_SECONDS:.0f} s for its observers."
            )
            self._process.kill()
        else:
            self._process.close()

    def _wait(self, deadline: float) -> None:
        self._read_answers()
        total = len(self._waiting)
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            wait(self._waiting, timeout=min(left, 1.0))
            self._read_answers()
            done = total - len(self._waiting)
            self._own.progress(f"waiting for the observer {self._name}", done, total)

    def _submit(self, function: Any, *arguments: Any) -> None:
        if self._process is None:
            return
        try:
            self._waiting.append(self._process.submit(function, *arguments))
        except Exception as error:  # of pickle, which raises many types
            self._lose(f"cannot be sent to a process of its own: {type(error).__name__}: {error}")

    def _read_answers(self) -> None:
        while self._waiting and self._waiting[0].done():
            try:
                fault = self._waiting.popleft().result()
            except LostError:
                self._lose("ended unexpectedly")
            except CallError as error:
                self._lose(f"cannot run in a process of its own: {error}")
            else:
                if fault:
                    self._warn(*fault)

    def _lose(self, reason: str) -> None:
        self._own.warned(f"{self._who} {reason}; the run continues without it.")
        self._waiting.clear()
        if self._process:
            self._process.kill()
            self._process = None

    def _warn(self, cause: str, message: str) -> None:
        if cause not in self._faults:
            self._faults.add(cause)
            self._own.warned(message)


_here: tuple[BoundComponent, Observer] | None = None  # in the observer's process


def _build(bound: BoundComponent) -> tuple[str, str] | None:
    global _here
    try:
        _here = bound, bound.build()
    except KerascnnError as error:
        return "build", f"{error} The run continues without it."
    return None


def _hear(event: str, arguments: tuple[Any, ...]) -> tuple[str, str] | None:
    """Returns a fault as the place of its cause and a message: exceptions may not be picklable."""
    if _here is None:
        return None
    bound, observer = _here
    try:
        getattr(observer, event)(*arguments)
    except (Exception, SystemExit) as error:
        fault = bound.registered.fault(f"in {event}", error)
        return f"{type(error).__name__} {places(error)[-1]}", f"{fault}; the run is not affected."
    return None
