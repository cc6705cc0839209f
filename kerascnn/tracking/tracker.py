"""Tracks a run: what it logs goes into its journal, and a thread uploads it to the store."""

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from kerascnn.errors import InputError, ResumeError
from kerascnn.runtime.address import address_fault, displayed, tracking_uri
from kerascnn.runtime.background import CallError, LostError
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.commands import command
from kerascnn.runtime.redact import scrubbed
from kerascnn.runtime.text import counted
from kerascnn.tracking.entries import FAILURE, upload
from kerascnn.tracking.journal import LOCK, Journal, refusals, unsent
from kerascnn.tracking.store import TAG, RefusingStoreError, TrackingError

HOLDER = "process.txt"  # names the process that has the lock
START_SECONDS = 30.0  # a new SQLite store takes several; a server that answers takes less
END_SECONDS = 60.0  # for the model's upload; a server that is gone or hangs fails sooner
LEAST_START_SECONDS = 5.0  # where START_SECONDS have already passed
RETRY_SECONDS = 30.0
PRUNED = "pruned"  # a tag: why a trial was pruned
LOCK_SECONDS = 5.0  # longer than another command needs to check whether the run is active


class Tracker:
    """Tracks one run: a context manager that ends the run as its block ends.

    Nothing that the store does stops or slows the caller. The store is connected to in the
    background, see `Beside`, from the start of the block; the run exists from `open` on. It ends as
    finished, as interrupted (KeyboardInterrupt, ResumeError) or, with the exception as a tag, as
    failed.

    Args:
        runs: The folder that holds the runs' folders.
        parent: The id of the run that this one is shown under; default none.
        resume: The folder of a run to resume; default a new run.
        folder: The run's folder, which must not exist or be empty; default one in `runs` that is
            named by the run's id, for which `open` waits a while.
        mlflow: Makes the calls of MLflow; default a process of this run's own.

    Attributes:
        run_id: MLflow's id where the store has answered in time; None before `open`.
        fault: What is wrong with the store at present, if anything.
        unsent: After the block, what could not be uploaded and why, in one sentence, or None.

    Raises:
        InputError: The folder cannot be written to, the store's address is wrong or, at the start
            of the block, another process has the run to resume.
    """

    def __init__(
        self,
        experiment: str,
        name: str,
        runs: Path,
        *,
        parent: str | None = None,
        resume: Path | None = None,
        folder: Path | None = None,
        mlflow: Beside | None = None,
    ) -> None:
        self._runs = runs
        self._resume = resume
        self._folder = folder
        self._pruned = False
        self._create = {"experiment": experiment, "name": name, "parent": parent}
        check_writable(runs)
        uri = Journal.read(resume).uri if resume else tracking_uri()
        if not resume and (wrong := address_fault(uri)):
            raise InputError(f"MLFLOW_TRACKING_URI: {wrong}")
        self._journal = Journal(runs, uri)
        self._mlflow = mlflow or Beside("mlflow")
        self._release = (lambda: None) if mlflow else self._mlflow.end
        self._logged: set[tuple[str, int]] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._lock: FileLock | None = None
        self.run_id: str | None = None
        self.fault: TrackingError | None = None
        self.unsent: str | None = None

    def __enter__(self) -> Self:
        if self._resume:
            self._lock = _locked(self._resume)
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True, name="kerascnn-tracking")
        self._thread.start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.run_id:
            self._add("end", status=self._status(error))
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self.run_id:
            with contextlib.suppress(KeyboardInterrupt):  # pressed again, it skips the wait
                self._thread.join(END_SECONDS)
            self.unsent = self._pending() or refusals(self._journal)
        elif self._lock:
            self._lock.release()
        if self._thread.is_alive():
            self._mlflow.stop()
        self._release()

    def _status(self, error: BaseException | None) -> str:
        if error is None:
            return "KILLED" if self._pruned else "FINISHED"
        if isinstance(error, KeyboardInterrupt | ResumeError):
            return "KILLED"
        self.tags({FAILURE: f"{type(error).__name__}: {error}"})
        return "FAILED"

    def open(self) -> tuple[str, Path]:
        """Creates the run, or resumes it; waits a while for a new run's id in the store.

        Returns:
            The id and the run's folder.
        """
        run = uuid.uuid4().hex
        folder = self._resume or self._folder or self._runs / run
        if not self._resume:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder)
        with self._changed:
            new = Journal(folder, self._journal.uri)
            self._journal = Journal.read(folder) if self._resume else new
            self._logged = self._journal.logged()
        if self._resume:
            self._add("resume")
            self._journal.save_state()
        else:
            store = self._journal.written_address()
            self._add("create", run=run, store=store, **self._create)
            if not self._folder:
                self._name_folder()
        created = self._journal.created.get("run", "")
        self.run_id = created if self._folder else self._journal.folder.name
        return self.run_id, self._journal.folder

    @property
    def store(self) -> str:
        return displayed(self._journal.uri)

    def untracked(self) -> str | None:
        """Why the store does not accept the run, in a sentence; None if it does."""
        if self.fault is None:
            return None
        later = "" if isinstance(self.fault, RefusingStoreError) else ", and is uploaded later"
        return f"the run continues untracked{later}: {self.fault}"

    def _name_folder(self) -> None:
        """Renames the folder to the run's id in the store, if that answers in time."""
        wait = max(START_SECONDS - (time.monotonic() - self._started), LEAST_START_SECONDS)
        with self._changed:
            self._changed.wait_for(lambda: self._journal.sent or self.fault, wait)
            if run_id := self._journal.mlflow_id:
                self._journal.folder = self._journal.folder.rename(self._runs / run_id)
                self._add("tags", values={TAG: run_id})

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

    def _pending(self) -> str | None:
        journal = self._journal
        if not journal.pending:
            return None
        fault = self.fault or f"{self.store}: it is slow."
        told = f"{unsent([journal])} could not be uploaded to {fault}"
        if journal.unwritten:
            lost = counted(journal.unwritten, "entry")
            return f"{told} The last {lost} could not be written to {journal.folder} either."
        if self.fault:
            journal.tell(self.fault)
        if isinstance(self.fault, RefusingStoreError):
            return (
                f"{told} They are kept in {journal.folder}; fix this, then "
                f"`{command('runs', 'send')}` uploads them."
            )
        return (
            f"{told} They are kept in {journal.folder} and uploaded by the next run, "
            f"`{command('compare')}` or `{command('ui')}` that reaches the store."
        )

    def _add(self, kind: str, **content: Any) -> None:
        with self._changed:
            self._journal.add(kind, **content)
            self._changed.notify_all()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self._mlflow.submit(function, *arguments)()
        except CallError as error:
            raise TrackingError(str(error)) from error
        except LostError as error:
            raise TrackingError("the upload was stopped.") from error

    def _work(self) -> None:
        ready = False
        while True:
            try:
                if not ready:
                    fault = self._call(upload, self._journal.uri, None, [], self._runs).fault
                    if fault:
                        raise fault
                    ready = True
                self._journal.send(self._call)
                self.fault = None
            except TrackingError as error:
                self.fault = error
            with self._changed:
                self._changed.notify_all()
                if self._closing and (self.fault or not self._journal.pending):
                    break
                if self.fault:
                    self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
                else:
                    self._changed.wait_for(lambda: self._closing or self._journal.pending)
        self._release()
        if self._lock:
            self._lock.release()


def check_writable(folder: Path) -> None:
    """Raises InputError if a run's folder cannot be created."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(
            f"cannot write to {folder}: {there} is not a writable directory. Change its "
            "permissions, or start from another directory."
        )


def _locked(folder: Path) -> FileLock:
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
