"""The checks of an observer: it hears made-up runs, here and in another process."""

import io
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kerascnn.components.component import BoundComponent
from kerascnn.engine.observer import Observer
from kerascnn.hookspecs import kerascnn_observers
from kerascnn.runtime.backend import BACKENDS
from kerascnn.testing.checks import CheckError, Subject, check, explain
from kerascnn.testing.other_processes import in_another_process
from kerascnn.testing.story import stories

PROMPT_SECONDS = 5.0


class ObserverSubject(Subject):
    """An observer; every story is told to a new one, as every run has its own."""

    kind = "observer"

    def make(self) -> Observer:
        return self.bound.build()

    def hear(self) -> "Iterator[Heard]":
        return hear(self.bound)


@dataclass(frozen=True)
class Heard:
    """One event that an observer has handled."""

    event: str
    seconds: float
    changed: bool  # whether its arguments are no longer what they were


def hear(bound: BoundComponent) -> Iterator[Heard]:
    """Tells all stories; raises CheckError for an event that raises."""
    with TemporaryDirectory() as folder:
        for story in stories(Path(folder)):
            observer = bound.build()
            for event, arguments in story.events:
                before, start = _described(arguments), time.perf_counter()
                try:
                    getattr(observer, event)(*arguments)
                except Exception as error:
                    raise CheckError(f"{event} in {story.title}: {explain(error)}") from error
                seconds = time.perf_counter() - start
                yield Heard(event, seconds, _described(arguments) != before)


@check(kerascnn_observers)
def builds(subject: ObserverSubject) -> str:
    """The builder returns a kerascnn.Observer."""
    return type(subject.made).__name__


@check(kerascnn_observers)
def hears_every_event(subject: ObserverSubject) -> str:
    """No event raises, however the run ends: also in a run that resumes, and in one that fails
    before any other event."""
    return f"{sum(1 for _ in subject.hear())} events"


@check(kerascnn_observers)
def hears_in_another_process(subject: ObserverSubject) -> None:
    """The builder can be sent to another process, where no event raises either."""
    in_another_process(_imported_by, subject.bound)


@check(kerascnn_observers)
def imports_no_backend(subject: ObserverSubject) -> None:
    """Neither the builder nor an event imports Keras or a backend, which would take the memory and
    the processors that training needs."""
    if imported := in_another_process(_imported_by, subject.bound):
        raise CheckError(f"imports {', '.join(imported)}")


@check(kerascnn_observers)
def leaves_its_arguments(subject: ObserverSubject) -> None:
    """No event changes its arguments, which an observer in a script shares with the run."""
    for heard in subject.hear():
        if heard.changed:
            raise CheckError(f"{heard.event} changes its arguments")


@check(kerascnn_observers)
def leaves_the_process(subject: ObserverSubject) -> None:
    """No event changes the random generators of Python and NumPy, the environment variables or the
    working directory."""
    before = _state()
    for heard in subject.hear():
        for what, state in _state().items():
            if state != before[what]:
                raise CheckError(f"{heard.event} changes the {what}")


@check(kerascnn_observers)
def returns_promptly(subject: ObserverSubject) -> str:
    """Each event takes less than 5 s: a run waits only 30 s at its end."""
    longest = max(subject.hear(), key=lambda heard: heard.seconds)
    if longest.seconds >= PROMPT_SECONDS:
        raise CheckError(f"{longest.event} takes {longest.seconds:.1f} s")
    return f"at most {longest.seconds:.3f} s"


@check(kerascnn_observers)
def prints_nothing(subject: ObserverSubject) -> None:
    """No event prints to standard output, which may hold the JSON document of a command."""
    with redirect_stdout(io.StringIO()) as printed:
        for heard in subject.hear():
            if text := printed.getvalue():
                raise CheckError(f"{heard.event} prints {text[:40]!r}")


def _imported_by(bound: BoundComponent) -> list[str]:
    """Which of Keras and the backends hearing the stories imports."""
    before = set(sys.modules)
    for _ in hear(bound):
        pass
    return [name for name in ("keras", *BACKENDS) if name in sys.modules.keys() - before]


def _described(arguments: tuple[Any, ...]) -> str:
    return repr([asdict(one) if is_dataclass(one) else one for one in arguments])  # type: ignore[arg-type]


def _state() -> dict[str, Any]:
    return {
        "random generator of Python": random.getstate(),
        "random generator of NumPy": str(np.random.get_state()),
        "environment variables": dict(os.environ),
        "working directory": os.getcwd(),
    }
