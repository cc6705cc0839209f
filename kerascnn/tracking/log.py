"""What a run logs, whoever uploads it."""

import contextlib
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.errors import InputError, ResumeError
from kerascnn.runtime.address import address_fault, tracking_uri
from kerascnn.runtime.background import CallError, LostError
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.redact import scrubbed
from kerascnn.tracking.entries import FAILURE
from kerascnn.tracking.journal import LOCK
from kerascnn.tracking.store import TrackingError

HOLDER = "process.txt"  # names the process that has the lock
PRUNED = "pruned"  # a tag: why a trial was pruned
LOCK_SECONDS = 5.0  # longer than another command needs to check whether the run is active
END_SECONDS = 60.0  # for the uploads that are left; a server that is gone or hangs fails sooner
RETRY_SECONDS = 30.0


class Log(ABC):
    """The entries of a run, by their kinds."""

    def __init__(self) -> None:
        self._logged: set[tuple[str, int]] = set()
        self._pruned = False

    @abstractmethod
    def _add(self, kind: str, **content: Any) -> None: ...

    def status_of(self, error: BaseException | None) -> str:
        """How the run ends."""
        if error is None:
            return "KILLED" if self._pruned else "FINISHED"
        if isinstance(error, KeyboardInterrupt | ResumeError):
            return "KILLED"
        self.tags({FAILURE: f"{type(error).__name__}: {error}"})
        return "FAILED"

    def params(self, values: dict[str, Any]) -> None:
        self._add("params", values=_clean(values))

    def tags(self, values: dict[str, Any]) -> None:
        self._add("tags", values=_clean(values))

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Logs metrics; a resumed run logs each metric of a step only once."""
        new = {name: value for name, value in values.items() if (name, step) not in self._logged}
        self._logged |= {(name, step) for name in new}
        if new:
            self._add("metrics", values=new, step=step)

    def datasets(self, splits: list[dict[str, Any]]) -> None:
        """Logs the name, context, digest and number of images of each split."""
        self._add("datasets", splits=splits)

    def artifact(self, path: Path) -> None:
        """Logs a file or folder in the run's folder."""
        self._add("artifact", path=path.name)

    def model(self, path: Path) -> None:
        """Logs a folder written by `save_model`."""
        self._add("model", path=path.name)

    def prune(self, reason: str) -> None:
        """Lets the run end as killed, with the reason as a tag."""
        self._pruned = True
        self.tags({PRUNED: reason})

    def nest(self, runs: Iterable[str]) -> None:
        """Nests other runs, given by their ids, under this one."""
        self._add("nest", runs=list(runs))


def address_for_new() -> str:
    """The store's address for a new run; raises InputError where it is wrong."""
    uri = tracking_uri()
    if wrong := address_fault(uri):
        raise InputError(f"MLFLOW_TRACKING_URI: {wrong}")
    return uri


def call(mlflow: Beside, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of MLflow beside the run; raises TrackingError where that fails."""
    try:
        return mlflow.submit(function, *arguments)()
    except CallError as error:
        raise TrackingError(str(error)) from error
    except LostError as error:
        raise TrackingError("the upload was stopped.") from error


def locked(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK, timeout=LOCK_SECONDS, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        holder = ""
        with contextlib.suppress(OSError):
            holder = (folder / HOLDER).read_text()
        raise InputError(
            f"run {folder.name[:8]} is in use by {holder or 'another process'}; wait for it to "
            "finish."
        ) from None
    with contextlib.suppress(OSError):  # a full disk is reported by what needs it
        (folder / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}")
    return lock


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    return {name: scrubbed(v) if isinstance(v, str) else v for name, v in values.items()}
