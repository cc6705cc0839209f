"""What a run logs goes through a journal on disk, so that no tracking server can lose or stop it.

The journal is a file of JSON lines in the run's folder; a thread sends its entries in order. An
entry that is sent twice changes nothing, so what a server missed is simply sent again by a later
command. Whoever sends holds the journal's lock: a run as long as it lives.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.errors import InputError
from kerascnn.secrets import scrubbed, shown_uri
from kerascnn.tracking import (
    TAG,
    Entry,
    RefusedError,
    TrackingError,
    create_run,
    open_store,
    send,
    tracking_uri,
)

RUNS = "kerascnn-runs"
JOURNAL = "tracking.jsonl"
STATE = "tracking.json"
LOCK = "tracking.lock"
HOLDER = "process.txt"  # who has the lock

START_SECONDS = 30.0  # a fresh SQLite store takes some; a server that answers takes less
END_SECONDS = 60.0  # for the model's upload; a server that is gone or hangs fails sooner
LEAST_START_SECONDS = 5.0  # where preparing has taken longer than that
RETRY_SECONDS = 30.0
LOCK_SECONDS = 5.0  # in which another command has looked whether the run is at work


@dataclass
class Journal:
    """The entries of one run on disk, and how many of them the store has.

    Args:
        folder: The run's folder.
        uri: The tracking store.
        mlflow_id: The run's id in the store, None until it has been created there.
        sent: The number of entries that need not be sent any more.
        refused: For each entry that cannot be sent, why.
    """

    folder: Path
    uri: str
    mlflow_id: str | None = None
    sent: int = 0
    refused: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    _written: int = 0  # entries on disk,
    _bytes: int = 0  # and their length: what a kill or a full disk left beyond it is cut off

    @classmethod
    def read(cls, folder: Path) -> "Journal":
        """Reads a run's journal, whatever happened to it.

        A password that the address needs is taken from MLFLOW_TRACKING_URI.
        """
        state = _read_state(folder / STATE)
        uri, known = tracking_uri(), state.get("uri")
        journal = cls(
            folder,
            uri if known in (None, shown_uri(uri)) else known,
            state.get("mlflow_id"),
            refused=state.get("refused", []),
        )
        journal._read_entries()
        journal.sent = min(state.get("sent", 0), len(journal.entries))
        return journal

    def _read_entries(self) -> None:
        content = (self.folder / JOURNAL).read_bytes() if (self.folder / JOURNAL).is_file() else b""
        self._bytes = content.rfind(b"\n") + 1  # a last line without an end was never sent
        for line in content[: self._bytes].splitlines():
            try:
                self.entries.append({"kind": "?", **json.loads(line)})
            except (ValueError, TypeError):
                self.entries.append({"kind": "damaged"})
        self._written = len(self.entries)

    @property
    def pending(self) -> int:
        return len(self.entries) - self.sent

    @property
    def unwritten(self) -> int:
        return len(self.entries) - self._written

    @property
    def ended(self) -> bool:
        return bool(self.entries) and self.entries[-1]["kind"] == "end"

    def logged(self) -> set[tuple[str, int]]:
        """The metrics that are in it, each with its step."""
        metrics = [entry for entry in self.entries if entry["kind"] == "metrics"]
        return {(name, entry["step"]) for entry in metrics for name in entry["values"]}

    def add(self, kind: str, **content: Any) -> None:
        self.entries.append({"kind": kind, "time": int(time.time() * 1000), **content})
        with contextlib.suppress(OSError):  # a full disk: it is sent, and written with a later one
            self._write()

    def _write(self) -> None:
        lines = "".join(json.dumps(entry) + "\n" for entry in self.entries[self._written :])
        with (self.folder / JOURNAL).open("ab") as file:
            file.truncate(self._bytes)
            file.write(lines.encode())
        self._bytes += len(lines)
        self._written = len(self.entries)

    def save_state(self) -> None:
        state = {
            "uri": shown_uri(self.uri),
            "mlflow_id": self.mlflow_id,
            "sent": self.sent,
            "refused": self.refused,
            "complete": self.ended and not self.pending,
        }
        beside = self.folder / f"{STATE}.new"
        with contextlib.suppress(OSError):  # at worst, entries are sent again
            beside.write_text(json.dumps(state))
            os.replace(beside, self.folder / STATE)

    def send(self) -> None:
        """Sends what is pending, in order; raises TrackingError where the store fails."""
        with open_store(self.uri) as client:
            while self.pending:
                self._send_next(client)
                self.sent += 1
                self.save_state()

    def _send_next(self, client: Any) -> None:
        entry = self.entries[self.sent]
        try:
            if entry["kind"] == "create":
                self.mlflow_id = self.mlflow_id or create_run(
                    client, self.uri, entry, self.folder.name
                )
            elif self.mlflow_id:
                send(client, self.mlflow_id, entry, self.folder)
            else:
                raise RefusedError("the beginning of the journal is damaged")
        except RefusedError as error:
            self.refused.append(f"{entry['kind']}: {error}")


def _read_state(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):  # lost with a kill: it can be done without
        return {}


class Tracker:
    """Tracks one run; nothing that the store does stops or slows who logs.

    The store is made ready at once, in the background; the run exists from `open` on.

    Args:
        experiment: The name of the MLflow experiment.
        name: The name of the run.
        runs: The folder that holds the runs' folders.
        parent: The id of the run that this one is shown under; default none.
        resume: The folder of a run that goes on; default a new run.
    """

    def __init__(
        self,
        experiment: str,
        name: str,
        runs: Path,
        *,
        parent: str | None = None,
        resume: Path | None = None,
    ) -> None:
        self._runs = runs
        self._resume = resume
        self._create = {"experiment": experiment, "name": name, "parent": parent}
        self._journal = Journal(runs, tracking_uri())
        self._logged: set[tuple[str, int]] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._lock: FileLock | None = None
        self.fault: str | None = None
        _check_writable(runs)
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True, name="kerascnn-tracking")
        self._thread.start()

    def open(self) -> tuple[str, Path]:
        """Makes the run's folder, or takes that of a run that goes on, and locks it.

        Waits for the run's id in the store, a while.

        Returns:
            The id, MLflow's own where the store has answered, and the folder.

        Raises:
            InputError: The folder cannot be written to, or another process is at this run.
        """
        folder = self._resume or self._runs / uuid.uuid4().hex
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        with self._changed:
            self._journal = Journal.read(folder)
            self._logged = self._journal.logged()
        if self._resume:
            self._add("resume")
            self._journal.save_state()
        else:
            self._add("create", run=folder.name, **self._create)
            self._name_folder()
        return self._journal.folder.name, self._journal.folder

    def _name_folder(self) -> None:
        """Gives the folder the id that the run has in the store, if that answers in time."""
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
        """Logs metrics, but for those that are there of this step: a run that goes on repeats."""
        new = {name: value for name, value in values.items() if (name, step) not in self._logged}
        self._logged |= {(name, step) for name in new}
        if new:
            self._add("metrics", values=new, step=step)

    def datasets(self, splits: list[dict[str, Any]]) -> None:
        """Logs what the run learns from and is judged on: name, context, digest, images."""
        self._add("datasets", splits=splits)

    def artifact(self, path: Path) -> None:
        """Logs a file or folder of the run's folder."""
        self._add("artifact", path=path.name)

    def model(self, path: Path) -> None:
        """Logs a folder that `save_model` has written."""
        self._add("model", path=path.name)

    def nest(self, runs: Iterable[str]) -> None:
        """Shows other runs, given by their ids, under this one."""
        self._add("nest", runs=list(runs))

    def close(self, status: str = "FINISHED") -> str | None:
        """Ends the run; returns what could not be sent and why, in one sentence, or None."""
        self._add("end", status=status)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        with contextlib.suppress(KeyboardInterrupt):  # who does not want to wait need not
            self._thread.join(END_SECONDS)
        return self._told_unsent() or _told_refused(self._journal)

    def _told_unsent(self) -> str | None:
        journal = self._journal
        if not journal.pending:
            return None
        fault = self.fault or f"{shown_uri(journal.uri)}: it is slow."
        told = f"{_unsent([journal])} could not be sent to {fault}"
        if journal.unwritten:
            return f"{told} Nor could the last {journal.unwritten} be kept in {journal.folder}."
        return (
            f"{told} They are kept in {journal.folder} and sent by the next `kerascnn run`, "
            "`compare` or `ui` that reaches the store."
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
                    with open_store(self._journal.uri) as client:
                        client.search_experiments(max_results=1)
                    ready = True
                self._journal.send()
                self.fault = None
            except TrackingError as error:
                self.fault = str(error)
            with self._changed:
                self._changed.notify_all()
                if self._closing and (self.fault or not self._journal.pending):
                    break
                if self.fault:
                    self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
                else:
                    self._changed.wait_for(lambda: self._closing or self._journal.pending)
        if self._lock:
            self._lock.release()


def _check_writable(folder: Path) -> None:
    """Raises InputError, before a run has cost anything, where its folder cannot be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(
            f"a run cannot be written to {folder}: {there} is no folder that you may write to. "
            "Change to another folder, or change its permissions."
        )


def _locked(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK, timeout=LOCK_SECONDS, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        named = (folder / HOLDER).is_file()
        holder = (folder / HOLDER).read_text() if named else "another process"
        raise InputError(
            f"run {folder.name[:8]} is in the hands of {holder}; wait until that has ended."
        ) from None
    (folder / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}")
    return lock


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    return {name: scrubbed(v) if isinstance(v, str) else v for name, v in values.items()}


def send_pending(runs: Path) -> list[str]:
    """Sends what earlier runs could not, and ends in the store what was killed.

    Returns:
        A sentence for each run that was completed, and for each store that does not answer.
    """
    said: list[str] = []
    kept: dict[str, list[Journal]] = {}
    faults: dict[str, str] = {}
    for file in sorted(runs.glob(f"*/{JOURNAL}")):
        if _read_state(file.parent / STATE).get("complete"):
            continue
        with contextlib.suppress(Timeout, OSError), FileLock(file.parent / LOCK, timeout=0):
            journal = Journal.read(file.parent)
            said += _send_rest(journal, faults)
            if journal.pending:
                kept.setdefault(journal.uri, []).append(journal)
    return said + [_told_kept(journals, faults[uri]) for uri, journals in kept.items()]


def _send_rest(journal: Journal, faults: dict[str, str]) -> Iterator[str]:
    """Completes a run that nobody is at; a store that has failed once is not asked again."""
    if not journal.ended and journal.entries:
        journal.add("end", status="KILLED", time=journal.entries[-1].get("time"))
    if journal.pending and journal.uri not in faults:
        unsent = _unsent([journal])
        try:
            journal.send()
            yield f"sent {unsent} of run {journal.folder.name[:8]} that had been kept"
            if refused := _told_refused(journal):
                yield refused
        except TrackingError as error:
            faults[journal.uri] = str(error)
    journal.save_state()


def _told_kept(journals: list[Journal], fault: str) -> str:
    runs = _count(len(journals), "run", "runs")
    return f"{_unsent(journals)} of {runs} are kept until they can be sent: {fault}"


def _told_refused(journal: Journal) -> str | None:
    if not journal.refused:
        return None
    return (
        f"{_count(len(journal.refused), 'entry', 'entries')} of {journal.folder / JOURNAL} cannot "
        f"be sent: {journal.refused[0]}."
    )


def _unsent(journals: list[Journal]) -> str:
    """What has not been sent: "3 entries (8 metrics)"."""
    entries = [entry for journal in journals for entry in journal.entries[journal.sent :]]
    metrics = sum(len(entry["values"]) for entry in entries if entry["kind"] == "metrics")
    return f"{_count(len(entries), 'entry', 'entries')} ({_count(metrics, 'metric', 'metrics')})"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
