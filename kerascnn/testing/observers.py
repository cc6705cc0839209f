"""The checks of an observer: it hears made-up runs, here and in another process."""

import io
import os
import random
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kerascnn.components.component import BoundComponent
from kerascnn.engine.observer import Observer
from kerascnn.hookspecs import kerascnn_observers
from kerascnn.runtime.backend import BACKENDS
from kerascnn.testing.checks import CheckError, SkipError, Subject, check, explain
from kerascnn.testing.other_processes import in_a_plain_process
from kerascnn.testing.story import stories

PROMPT_SECONDS = 5.0


class ObserverSubject(Subject):
    """An observer; every story is told to a new one, as every run has its own."""

    kind = "observer"

    def make(self) -> Observer:
        return self.bound.build()

    @cached_property
    def heard(self) -> "Heard":
        """The stories are told once: an observer may be slow."""
        return hear(self.bound)

    def heard_without(self, what: str) -> None:
        """Raises CheckError for `what` was found, or else for an event that raises."""
        if said := what or self.heard.fault:
            raise CheckError(said)
        if self.heard.slow:
            raise SkipError("ended by a slow event: see returns_promptly")

    @cached_property
    def imported(self) -> list[str]:
        """Of Keras and the backends, what it imports in another process."""
        return in_a_plain_process(_imported_by, self.bound)


@dataclass
class Heard:
    """How an observer has handled the stories, up to its first fault."""

    events: int = 0
    longest: float = 0.0  # seconds
    prints: str = ""
    changes: str = ""  # the first event that changes its arguments
    changes_state: str = ""  # the first that changes the process, and what it changes
    fault: str = ""  # an event that raises
    slow: str = ""  # an event that takes too long


def hear(bound: BoundComponent) -> Heard:
    """Plays all stories, up to an event that raises or takes too long."""
    heard, state = Heard(), _state()
    with TemporaryDirectory() as folder:
        for story in stories(Path(folder)):
            observer = bound.build()
            for event, arguments in story.events:
                _tell(observer, event, arguments, heard)
                for what, now in _state().items():
                    if now != state[what] and not heard.changes_state:
                        heard.changes_state = f"{event} changes the {what}"
                if heard.fault:
                    heard.fault = f"{event} in {story.title}: {heard.fault}"
                if heard.fault or heard.slow:
                    return heard
    return heard


def _tell(observer: Observer, event: str, arguments: tuple[Any, ...], heard: Heard) -> None:
    before, start = _described(arguments), time.perf_counter()
    with redirect_stdout(io.StringIO()) as printed:
        try:
            getattr(observer, event)(*arguments)
        except Exception as error:
            heard.fault = explain(error)
    seconds = time.perf_counter() - start
    if seconds >= PROMPT_SECONDS:
        heard.slow = f"{event} takes {seconds:.1f} s"
    heard.events += 1
    heard.longest = max(heard.longest, seconds)
    if text := printed.getvalue():
        heard.prints = heard.prints or f"{event} prints {text[:40]!r}"
    if _described(arguments) != before:
        heard.changes = heard.changes or f"{event} changes its arguments"


@check(kerascnn_observers)
def builds(subject: ObserverSubject) -> str:
    """The builder returns a kerascnn.Observer."""
    return type(subject.made).__name__


@check(kerascnn_observers)
def hears_every_event(subject: ObserverSubject) -> str:
    """No event raises, however the run ends: also in a run that resumes, and in one that fails
    before any other event."""
    subject.heard_without("")
    return f"{subject.heard.events} events"


@check(kerascnn_observers)
def returns_promptly(subject: ObserverSubject) -> str:
    """Each event takes less than 5 s: a run waits only 30 s at its end."""
    subject.heard_without(subject.heard.slow)
    return f"at most {subject.heard.longest:.3f} s"


@check(kerascnn_observers)
def leaves_its_arguments(subject: ObserverSubject) -> None:
    """No event changes its arguments, which an observer in a script shares with the run."""
    subject.heard_without(subject.heard.changes)


@check(kerascnn_observers)
def leaves_the_process(subject: ObserverSubject) -> None:
    """No event changes the random generators of Python and NumPy, the environment variables or the
    working directory."""
    subject.heard_without(subject.heard.changes_state)


@check(kerascnn_observers)
def prints_nothing(subject: ObserverSubject) -> None:
    """No event prints to standard output, which may hold the JSON document of a command."""
    subject.heard_without(subject.heard.prints)


@check(kerascnn_observers)
def hears_in_another_process(subject: ObserverSubject) -> None:
    """The builder can be sent to another process, where no event raises either."""
    subject.heard_without("")
    _ = subject.imported


@check(kerascnn_observers)
def imports_no_backend(subject: ObserverSubject) -> None:
    """Neither the builder nor an event imports Keras or a backend, which would take the memory and
    the processors that training needs."""
    if not subject.heard.fault and subject.imported:
        raise CheckError(f"imports {', '.join(subject.imported)}")
    subject.heard_without("")


def _imported_by(bound: BoundComponent) -> list[str]:
    """Which of Keras and the backends hearing the stories imports."""
    if fault := hear(bound).fault:
        raise CheckError(fault)
    return [name for name in ("keras", *BACKENDS) if name in sys.modules]


def _described(arguments: tuple[Any, ...]) -> str:
    return repr([asdict(one) if is_dataclass(one) else one for one in arguments])  # type: ignore[arg-type]


def _state() -> dict[str, Any]:
    return {
        "random generator of Python": random.getstate(),
        "random generator of NumPy": str(np.random.get_state()),
        "environment variables": dict(os.environ),
        "working directory": os.getcwd(),
    }
