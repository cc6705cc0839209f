"""Tracks a run: what it logs goes into its journal, and a thread uploads it to the store."""

import contextlib
import os
import threading
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from kerascnn.errors import InputError
from kerascnn.runtime.address import displayed
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.commands import command
from kerascnn.runtime.text import counted
from kerascnn.tracking.entries import upload
from kerascnn.tracking.journal import Journal, refusals, unsent
from kerascnn.tracking.log import (
    END_SECONDS,
    RETRY_SECONDS,
    Log,
    address_for_new,
    call,
    locked,
)
from kerascnn.tracking.store import TAG, RefusingStoreError, TrackingError

START_SECONDS = 30.0  # a new SQLite store takes several; a server that answers takes less
LEAST_START_SECONDS = 5.0  # where START_SECONDS have already passed


class Tracker(Log):
    """Tracks one run: a context manager that ends the run as its block ends.

    Nothing that the store does stops or slows the caller. The store is connected to in the
    background, see `Beside`, from the start of the block; the run exists from `open` on. It ends as
    finished, as interrupted (KeyboardInterrupt, ResumeError) or, with the exception as a tag, as
    failed.

    Args:
        runs: The folder that holds the runs' folders.
        parent: The id of the run that this one is shown under; default none.
        resume: The folder of a run to resume; default a new run.
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
        mlflow: Beside | None = None,
    ) -> None:
        super().__init__()
        self._runs = runs
        self._resume = resume
        self._create = {"experiment": experiment, "name": name, "parent": parent}
        check_writable(runs)
        self._journal = Journal(runs, Journal.read(resume).uri if resume else address_for_new())
        self._mlflow = mlflow or Beside("mlflow")
        self._call = partial(call, self._mlflow)
        self._release = (lambda: None) if mlflow else self._mlflow.end
        self._changed = threading.Condition()
        self._closing = False
        self._lock: FileLock | None = None
        self.run_id: str | None = None
        self.fault: TrackingError | None = None
        self.unsent: str | None = None

    def __enter__(self) -> Self:
        if self._resume:
            self._lock = locked(self._resume)
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True, name="kerascnn-tracking")
        self._thread.start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.run_id:
            self._add("end", status=self.status_of(error))
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

    def open(self) -> tuple[str, Path]:
        """Creates the run, or resumes it; waits a while for a new run's id in the store.

        Returns:
            The id and the run's folder.
        """
        folder = self._resume or self._runs / uuid.uuid4().hex
        if not self._resume:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = locked(folder)
        with self._changed:
            new = Journal(folder, self._journal.uri)
            self._journal = Journal.read(folder) if self._resume else new
            self._logged = self._journal.logged()
        if self._resume:
            self._add("resume")
            self._journal.save_state()
        else:
            store = self._journal.written_address()
            self._add("create", run=folder.name, store=store, **self._create)
            self._name_folder()
        self.run_id = self._journal.folder.name
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
