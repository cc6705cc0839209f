"""Tracks trials: each writes its journal, and one thread uploads those of all."""

import threading
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from kerascnn.runtime.address import displayed
from kerascnn.runtime.beside import Beside
from kerascnn.tracking.journal import Journal, unsent
from kerascnn.tracking.log import (
    END_SECONDS,
    RETRY_SECONDS,
    Log,
    address_for_new,
    call,
    locked,
)
from kerascnn.tracking.store import TrackingError

PERIOD_SECONDS = 10.0  # between two uploads of a trial that runs


class Uploads:
    """Uploads the journals of trials in a thread: few calls, and no trial waits for them.

    A store that fails is tried again later. What it has not taken stays in the journals, and the
    next command that reaches it uploads them.

    Attributes:
        unsent: After `end`, what could not be uploaded and why, in one sentence, or None.
    """

    def __init__(self, mlflow: Beside) -> None:
        self._call = partial(call, mlflow)
        self._open: list[TrialTracker] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._fault: TrackingError | None = None
        self._failed_at = -RETRY_SECONDS
        self._left: list[Journal] = []
        self.unsent: str | None = None

    def follow(self, tracker: "TrialTracker") -> None:
        """Uploads the tracker's journal from now on."""
        with self._changed:
            self._open.append(tracker)
        if not self._thread:
            self._thread = threading.Thread(target=self._work, daemon=True, name="kerascnn-uploads")
            self._thread.start()

    def wake(self) -> None:
        """A trial has ended."""
        with self._changed:
            self._changed.notify_all()

    def end(self) -> None:
        """Waits until all is uploaded, for a while."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(END_SECONDS)
        left = [*self._left, *(tracker.journal for tracker in self._open)]
        if left := [journal for journal in left if journal.pending]:
            store = displayed(left[0].uri)
            self.unsent = f"{unsent(left)} could not be uploaded to {self._fault or store}"

    def _work(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(self._is_due, PERIOD_SECONDS)
                waiting, closing = [*self._open], self._closing
            for tracker in waiting:
                self._upload(tracker)

    def _is_due(self) -> bool:
        return self._closing or any(tracker.ended for tracker in self._open)

    def _upload(self, tracker: "TrialTracker") -> None:
        ended = tracker.ended  # before: what it logs meanwhile is uploaded the next time
        if time.monotonic() >= self._failed_at + RETRY_SECONDS:
            try:
                tracker.journal.send(self._call)
                self._fault = None
            except TrackingError as error:
                self._fault, self._failed_at = error, time.monotonic()
        if ended:
            with self._changed:
                self._open.remove(tracker)
            self._left += [tracker.journal] if tracker.journal.pending else []
            tracker.release()


class TrialTracker(Log):
    """Tracks a trial in its folder: a context manager that ends its run as its block ends.

    It ends as `Tracker` does, or as killed once it is pruned.

    Args:
        folder: For the journal; a new one, unless `resume`.
        parent: The id of the run that this one is shown under; default none.
        resume: Continue the run of the folder.

    Attributes:
        run_id: What its tag `kerascnn.run` says; None before `open`.
        journal: Its entries.
        ended: Whether nothing more will be logged.
    """

    def __init__(
        self,
        uploads: Uploads,
        experiment: str,
        name: str,
        folder: Path,
        *,
        parent: str | None = None,
        resume: bool = False,
    ) -> None:
        super().__init__()
        self._uploads, self._resume = uploads, resume
        self._create = {"experiment": experiment, "name": name, "parent": parent}
        self.journal = Journal.read(folder) if resume else Journal(folder, address_for_new())
        self._lock: FileLock | None = None
        self.run_id: str | None = None
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.run_id:
            self._add("end", status=self.status_of(error))
            self.ended = True
            self._uploads.wake()

    def open(self) -> str:
        """Creates the run, or resumes it, and returns its id."""
        folder = self.journal.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = locked(folder)
        if self._resume:
            self.journal = Journal.read(folder)  # complete, now that it is this process's
            self._logged = self.journal.logged()
            self._add("resume")
        else:
            store = self.journal.written_address()
            self._add("create", run=uuid.uuid4().hex, store=store, **self._create)
        self.run_id = self.journal.created["run"]
        self._uploads.follow(self)
        return self.run_id

    def release(self) -> None:
        """Lets other processes have the folder."""
        if self._lock:
            self._lock.release()

    @property
    def store(self) -> str:
        return displayed(self.journal.uri)

    def _add(self, kind: str, **content: Any) -> None:
        self.journal.add(kind, **content)
