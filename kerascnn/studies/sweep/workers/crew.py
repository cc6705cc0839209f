"""The workers of a sweep on this host: started, watched, and ended."""

import os
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from shutil import which
from typing import Any, Self

from kerascnn.runtime.background import BackgroundProcess, CallError, LostError
from kerascnn.studies.sweep.workers.worker import Job, work

END_SECONDS = 60.0  # for a worker to write its checkpoint
_GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Ended:
    """A worker that has ended: its name, and why if it was lost or failed."""

    worker: str
    fault: str = ""


class Crew:
    """Workers, each in a process of its own that ends when this one does; a context manager.

    Args:
        job: What each is to do.
        count: How many work at a time.
    """

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._free = list(range(count))[::-1]  # places, each with a device
        self._devices = gpus()
        self._working: dict[Future[Any], tuple[Job, BackgroundProcess, int]] = {}

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
            process = BackgroundProcess(self._variables(place))
            self._working[process.submit(work, job)] = job, process, place

    def _variables(self, place: int) -> dict[str, str]:
        """One GPU each; on the CPU all cores, whose number decides how sums are rounded."""
        return {_GPUS: self._devices[place % len(self._devices)]} if self._devices else {}

    def ended(self, seconds: float) -> list[Ended]:
        """The workers that have ended, waiting for one at most that long."""
        if not self._working:
            time.sleep(seconds)
        done, _ = wait(self._working, seconds, FIRST_COMPLETED)
        return [self._leave(future) for future in done]

    def _leave(self, future: "Future[Any]") -> Ended:
        job, process, place = self._working.pop(future)
        self._free.append(place)
        fault = _fault(future)
        _quietly(process.kill if fault else process.close)
        return Ended(job.worker, fault)

    def end(self) -> list[Ended]:
        """Ends all workers at their next checkpoint."""
        for _, process, _ in self._working.values():
            _quietly(process.terminate)
        wait(self._working, END_SECONDS)
        for future, (_, process, _) in self._working.items():
            if not future.done():
                _quietly(process.kill)
        wait(self._working)
        return [self._leave(future) for future in list(self._working)]


def _fault(future: "Future[Any]") -> str:
    try:
        future.result()
    except LostError:
        return "its process was killed or crashed, as for lack of memory"
    except CallError as error:
        return str(error)
    return ""


def _quietly(end: Callable[[], None]) -> None:
    with suppress(OSError):
        end()


def gpus() -> list[str]:
    """The GPUs that may be used, as the environment variable names them."""
    if (given := os.environ.get(_GPUS)) is not None:
        return [one for one in given.split(",") if one and one != "-1"]
    if which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()
