"""The journal of a run: what it logs is written to disk before it is uploaded to the store.

So no server can lose it or stop the run. The journal is a file of JSON lines in the run's folder; a
thread uploads its entries in order. Uploading an entry twice changes nothing, so a later command
uploads again what the store may have missed, always to the run's own store. Whoever uploads holds
the journal's lock; a run holds it from its start to its end.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.runtime.address import displayed, found_again, relative, sqlite_file, tracking_uri
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.image_files import JOURNAL
from kerascnn.runtime.redact import shown_uri
from kerascnn.runtime.text import counted
from kerascnn.tracking.artifacts import correct_records
from kerascnn.tracking.entries import Entry, upload
from kerascnn.tracking.store import RefusingStoreError, TrackingError, open_store

RUNS = "kerascnn-runs"
STATE = "tracking.json"
TRIALS = "trials"  # the folder of a sweep's trials, in its own
FOLDS = "folds"  # the folder of the folds of a study, in its own
LOCK = "tracking.lock"
_AT_ONCE = 100  # entries, between two writes of the state
_STATE = ("mlflow_id", "sent", "refused", "told", "refusing")  # attributes of a journal

Call = Callable[..., Any]


@dataclass
class Journal:
    """The entries of one run on disk, and how many of them the store has.

    Args:
        login: Whether the address lacks its login, which is never stored.
        mlflow_id: The run's id in the store; None until it is created there.
        sent: The number of entries that are uploaded or refused.
        refused: The reason for each entry that the store refused.
        told: The fault of the store that was last reported to the user.
        refusing: Whether that fault persists until the user fixes it.
    """

    folder: Path
    uri: str
    login: bool = False
    mlflow_id: str | None = None
    sent: int = 0
    refused: list[str] = field(default_factory=list)
    told: str | None = None
    refusing: bool = False
    entries: list[Entry] = field(default_factory=list)
    _written: int = 0  # entries on disk
    _bytes: int = 0  # their length; anything beyond it, left by a kill or a full disk, is cut off

    @classmethod
    def read(cls, folder: Path) -> "Journal":
        """Reads a run's journal, even if it is damaged or its state is lost.

        A password in the address is taken from MLFLOW_TRACKING_URI.
        """
        state = _read_state(folder / STATE)
        known = {name: state[name] for name in _STATE if name in state}
        journal = cls(folder, tracking_uri(), **known)
        journal._read_entries()
        journal.sent = min(journal.sent, len(journal.entries))
        journal._remember(state if state.get("uri") else journal.created.get("store", {}))
        return journal

    def _remember(self, store: dict[str, Any]) -> None:
        """Uses the stored address, unless it is the current one without its login."""
        meant = found_again(store.get("uri", self.uri), self._project)
        if meant not in (self.uri, shown_uri(self.uri)):
            self.uri, self.login = meant, store.get("login", False)

    def written_address(self) -> dict[str, Any]:
        """The address to store: without login, and with a path that survives a move."""
        shown = shown_uri(self.uri)
        return {"uri": relative(shown, self._project), "login": self.login or shown != self.uri}

    @property
    def _project(self) -> Path:
        return self.folder.absolute().parent.parent

    def _read_entries(self) -> None:
        content = (self.folder / JOURNAL).read_bytes() if (self.folder / JOURNAL).is_file() else b""
        self._bytes = content.rfind(b"\n") + 1  # an unfinished last line was never uploaded
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
    def created(self) -> Entry:
        """The first entry, which describes the run; empty if there is none."""
        return self.entries[0] if self.entries else {}

    @property
    def unwritten(self) -> int:
        return len(self.entries) - self._written

    @property
    def ended(self) -> bool:
        return bool(self.entries) and self.entries[-1]["kind"] == "end"

    def logged(self) -> set[tuple[str, int]]:
        """The names and steps of the metrics in the journal."""
        metrics = [entry for entry in self.entries if entry["kind"] == "metrics"]
        return {(name, entry["step"]) for entry in metrics for name in entry["values"]}

    def add(self, kind: str, **content: Any) -> None:
        self.entries.append({"kind": kind, "time": int(time.time() * 1000), **content})
        with contextlib.suppress(OSError):  # on a full disk it is uploaded now and written later
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
            **self.written_address(),
            **{name: getattr(self, name) for name in _STATE},
            "complete": self.ended and not self.pending,
        }
        with contextlib.suppress(OSError):  # at worst, entries are uploaded again
            write_whole(self.folder / STATE, json.dumps(state))

    def open(self) -> contextlib.AbstractContextManager[Any]:
        """Yields a client of the run's store; raises TrackingError where the store fails."""
        return open_store(self._address())

    def _address(self) -> str:
        if self.login:
            raise RefusingStoreError(
                f"{displayed(self.uri)}: the login for this address is not stored; set "
                "MLFLOW_TRACKING_URI to the whole address."
            )
        return self.uri

    def send(self, call: Call = lambda function, *arguments: function(*arguments)) -> None:
        """Uploads the pending entries in order.

        Args:
            call: Calls a function of a module; default here.

        Raises:
            TrackingError: The store fails.
        """
        uri = self._address()
        while self.pending:
            entries = self.entries[self.sent : self.sent + _AT_ONCE]
            done = call(upload, uri, self.mlflow_id, entries, self.folder)
            self.mlflow_id = done.mlflow_id
            self.sent += done.count
            self.refused += done.refused
            self.save_state()
            if done.fault:
                raise done.fault

    def tell(self, fault: TrackingError) -> None:
        """Stores the fault of the store that is reported to the user."""
        self.told, self.refusing = str(fault), isinstance(fault, RefusingStoreError)
        self.save_state()

    def redirect(self, uri: str) -> None:
        """Makes another store the run's own; it will receive all entries."""
        here = tracking_uri()
        self.uri = here if shown_uri(here) == uri else uri
        self.login, self.mlflow_id, self.told, self.refusing = False, None, None, False
        self.sent, self.refused = 0, []
        self.save_state()


def _read_state(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):  # it may be lost if the process was killed
        return {}


def send_pending(runs: Path, *, why: bool = False) -> list[str]:
    """Uploads the pending entries of the runs in a folder, and ends killed runs in their store.

    Returns a sentence for each run that was completed, and for each store that fails; with `why`,
    also where that was reported before.
    """
    said = list(correct_records(tracking_uri()))
    kept: dict[str, list[Journal]] = {}
    faults: dict[str, TrackingError] = {}
    folders = [file.parent for file in sorted(runs.glob(f"*/{JOURNAL}"))]
    for folder in [one for run in folders for one in (run, *trials_of(run))]:
        if _read_state(folder / STATE).get("complete"):
            continue
        with contextlib.suppress(Timeout, OSError), FileLock(folder / LOCK, timeout=0):
            journal = Journal.read(folder)
            said += _send_rest(journal, faults)
            if journal.pending:
                kept.setdefault(journal.uri, []).append(journal)
            journal.save_state()
    return said + [_still_pending(journals, faults[uri], why) for uri, journals in kept.items()]


def trials_of(run: Path) -> list[Path]:
    """The folders of a study's trials or folds, which are runs too; none of another run."""
    found = (run.glob(f"{place}/*/{JOURNAL}") for place in (TRIALS, FOLDS))
    return [file.parent for file in sorted(chain(*found))]


def _send_rest(journal: Journal, faults: dict[str, TrackingError]) -> Iterator[str]:
    """Completes a run that has no process; a store that has failed once is not tried again."""
    if not journal.ended and journal.entries:
        journal.add("end", status="KILLED", time=journal.entries[-1].get("time"))
    if journal.pending and journal.uri not in faults:
        pending = unsent([journal])
        try:
            _check_place(journal.uri)
            journal.send()
            run, store = journal.folder.name[:8], displayed(journal.uri)
            yield f"uploaded {pending} of run {run} to {store}"
            if refused := refusals(journal):
                yield refused
        except TrackingError as error:
            faults[journal.uri] = error


def _check_place(uri: str) -> None:
    """A missing folder is not recreated: the database was moved or removed with it."""
    database = sqlite_file(uri)
    if database and not database.parent.exists():
        raise RefusingStoreError(
            f"{database}: its folder no longer exists; "
            f"`{command('runs', 'send', '--to', 'ADDRESS')}` uploads to another store."
        )


def _still_pending(journals: list[Journal], fault: TrackingError, why: bool) -> str:
    runs = counted(len(journals), "run")
    if all(journal.told == str(fault) for journal in journals) and not why:
        store = displayed(journals[0].uri)
        return f"{runs} still to upload to {store}; `{command('runs', 'send')}` says why."
    for journal in journals:
        journal.tell(fault)
    later = "cannot be uploaded" if isinstance(fault, RefusingStoreError) else "not yet uploaded"
    return f"{unsent(journals)} of {runs} {later}: {fault}"


def refusals(journal: Journal) -> str | None:
    """A sentence on the entries that the store refused, or None."""
    if not journal.refused:
        return None
    count, file = counted(len(journal.refused), "log entry"), journal.folder / JOURNAL
    return f"the store refused {count} of {file}: {journal.refused[0]}."


def unsent(journals: list[Journal]) -> str:
    """The pending entries in words: "3 log entries (8 metrics)"."""
    entries = [entry for journal in journals for entry in journal.entries[journal.sent :]]
    metrics = sum(len(entry["values"]) for entry in entries if entry["kind"] == "metrics")
    return f"{counted(len(entries), 'log entry')} ({counted(metrics, 'metric')})"
