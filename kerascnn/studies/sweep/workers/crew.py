"""The workers of a sweep: started by an engine, watched, and ended."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from kerascnn.hookspecs import Engine, Process
from kerascnn.studies.sweep.workers.worker import Job, work

END_SECONDS = 60.0  # for a worker to write its checkpoint


@dataclass(frozen=True)
class Ended:
    """A worker that has ended.

    Args:
        worker: Its name.
        fault: Why, if it was lost or failed.
        obstacle: Why it could not take part, nor can another one.
    """

    worker: str
    fault: str = ""
    obstacle: str = ""


class Crew:
    """Workers, each in a process of its own that ends when this one does; a context manager.

    Args:
        job: What each is to do.
        engine: Starts them.
    """

    def __init__(self, job: Job, engine: Engine) -> None:
        self._job = job
        self._engine = engine
        self._free = list(range(engine.places))[::-1]
        self._working: dict[Future[Any], tuple[Job, Process, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def __len__(self) -> int:
        return len(self._working)

    def fill(self, wanted: int) -> None:
        """Starts workers until as many work as wanted, at most one in each place."""
        while self._free and len(self) < wanted:
            place = self._free.pop()
            job = replace(self._job, worker=uuid.uuid4().hex)
            process = self._engine.start(place)
            self._working[process.submit(work, job)] = job, process, place

    def ended(self, seconds: float) -> list[Ended]:
        """The workers that have ended, waiting for one at most that long."""
        if not self._working:
            time.sleep(seconds)
        done, _ = wait(self._working, seconds, FIRST_COMPLETED)
        return [self._leave(future) for future in done]

    def _leave(self, future: "Future[Any]") -> Ended:
        job, process, place = self._working.pop(future)
        self._free.append(place)
        _quietly(process.close)
        if error := future.exception():
            return Ended(job.worker, fault=str(error))
        return Ended(job.worker, obstacle=future.result())

    def end(self) -> list[Ended]:
        """Ends all workers at their next checkpoint."""
        for _, process, _ in self._working.values():
            _quietly(process.terminate)
        wait(self._working, END_SECONDS)
        for future, (_, process, _) in self._working.items():
            if not future.done():
                _quietly(process.close)
        wait(self._working)
        return [self._leave(future) for future in list(self._working)]


def _quietly(end: Callable[[], None]) -> None:
    with suppress(OSError):
        end()
