"""What a run logs goes through a journal on disk, so that no tracking server can lose or stop it.

The journal is a file of JSON lines in the run's folder; a thread sends its entries in order. An
entry that is sent twice changes nothing, so what a server missed is simply sent again by a later
command, and to no other store than the one that the run was meant for. Whoever sends holds the
journal's lock: a run as long as it lives.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.runtime.address import (
    displayed,
    found_again,
    relative,
    sqlite_file,
    tracking_uri,
)
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.image_files import JOURNAL
from kerascnn.runtime.redact import shown_uri
from kerascnn.runtime.text import counted
from kerascnn.tracking.artifacts import told_moved
from kerascnn.tracking.entries import Entry, RefusedError, create_run, send
from kerascnn.tracking.store import RefusingStoreError, TrackingError, open_store

RUNS = "kerascnn-runs"
STATE = "tracking.json"
LOCK = "tracking.lock"


@dataclass
class Journal:
    """The entries of one run on disk, and how many of them the store has.

    Args:
        folder: The run's folder.
        uri: The tracking store that the run is meant for.
        login: Whether the address lacks the login that it had, for that is not written down.
        mlflow_id: The run's id in the store, None until it has been created there.
        sent: The number of entries that need not be sent any more.
        refused: For each entry that cannot be sent, why.
        told: The fault of the store that the user knows of already.
        refusing: Whether that fault stays until somebody mends it.
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
    _written: int = 0  # entries on disk,
    _bytes: int = 0  # and their length: what a kill or a full disk left beyond it is cut off

    @classmethod
    def read(cls, folder: Path) -> "Journal":
        """Reads a run's journal, whatever happened to it.

        A password that the address needs is taken from MLFLOW_TRACKING_URI.
        """
        state = _read_state(folder / STATE)
        journal = cls(
            folder,
            tracking_uri(),
            mlflow_id=state.get("mlflow_id"),
            refused=state.get("refused", []),
            told=state.get("told"),
            refusing=state.get("refusing", False),
        )
        journal._read_entries()
        journal.sent = min(state.get("sent", 0), len(journal.entries))
        journal._remember(state if state.get("uri") else journal.created.get("store", {}))
        return journal

    def _remember(self, store: dict[str, Any]) -> None:
        """Takes the address that was written down, unless it is the present one without a login."""
        meant = found_again(store.get("uri", self.uri), self._project)
        if meant not in (self.uri, shown_uri(self.uri)):
            self.uri, self.login = meant, store.get("login", False)

    def written_address(self) -> dict[str, Any]:
        """The address as it may be written down: no login, and no path that a move breaks."""
        shown = shown_uri(self.uri)
        return {
            "uri": relative(shown, self._project),
            "login": self.login or shown != self.uri,
        }

    @property
    def _project(self) -> Path:
        return self.folder.absolute().parent.parent

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
    def created(self) -> Entry:
        """The entry that begins it: what run this is."""
        return self.entries[0] if self.entries else {}

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
            **self.written_address(),
            "mlflow_id": self.mlflow_id,
            "sent": self.sent,
            "refused": self.refused,
            "told": self.told,
            "refusing": self.refusing,
            "complete": self.ended and not self.pending,
        }
        with contextlib.suppress(OSError):  # at worst, entries are sent again
            write_whole(self.folder / STATE, json.dumps(state))

    @contextlib.contextmanager
    def open(self) -> Iterator[Any]:
        """A client of the store that the run is meant for; TrackingError where that fails."""
        if self.login:
            raise RefusingStoreError(
                f"{displayed(self.uri)}: the login of this address is not written down; set "
                "MLFLOW_TRACKING_URI to the whole address."
            )
        with open_store(self.uri) as client:
            yield client

    def send(self) -> None:
        """Sends what is pending, in order; raises TrackingError where the store fails."""
        with self.open() as client:
            while self.pending:
                self._send_next(client)
                self.sent += 1
                self.save_state()

    def tell(self, fault: TrackingError) -> None:
        """Writes down what the user is told of the store."""
        self.told, self.refusing = str(fault), isinstance(fault, RefusingStoreError)
        self.save_state()

    def redirect(self, uri: str) -> None:
        """From now on the run is meant for another store, which gets all of it."""
        here = tracking_uri()
        self.uri = here if shown_uri(here) == uri else uri
        self.login, self.mlflow_id, self.told, self.refusing = False, None, None, False
        self.sent, self.refused = 0, []
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


def send_pending(runs: Path, *, why: bool = False) -> list[str]:
    """Sends what earlier runs could not, and ends in the store what was killed.

    Args:
        runs: The folder that holds the runs' folders.
        why: Says why a store does not answer even where that was said before.

    Returns:
        A sentence for each run that was completed, and for each store that does not answer.
    """
    said = list(told_moved(tracking_uri()))
    kept: dict[str, list[Journal]] = {}
    faults: dict[str, TrackingError] = {}
    for file in sorted(runs.glob(f"*/{JOURNAL}")):
        if _read_state(file.parent / STATE).get("complete"):
            continue
        with contextlib.suppress(Timeout, OSError), FileLock(file.parent / LOCK, timeout=0):
            journal = Journal.read(file.parent)
            said += _send_rest(journal, faults)
            if journal.pending:
                kept.setdefault(journal.uri, []).append(journal)
            journal.save_state()
    return said + [_told_kept(journals, faults[uri], why) for uri, journals in kept.items()]


def _send_rest(journal: Journal, faults: dict[str, TrackingError]) -> Iterator[str]:
    """Completes a run that nobody is at; a store that has failed once is not asked again."""
    if not journal.ended and journal.entries:
        journal.add("end", status="KILLED", time=journal.entries[-1].get("time"))
    if journal.pending and journal.uri not in faults:
        kept = unsent([journal])
        try:
            _check_place(journal.uri)
            journal.send()
            run, store = journal.folder.name[:8], displayed(journal.uri)
            yield f"sent {kept} of run {run} that had been kept to {store}"
            if refused := told_refused(journal):
                yield refused
        except TrackingError as error:
            faults[journal.uri] = error


def _check_place(uri: str) -> None:
    """A folder that has gone is not made again: the database was moved or removed with it."""
    database = sqlite_file(uri)
    if database and not database.parent.exists():
        raise RefusingStoreError(
            f"{database}: there is no such folder any more; "
            f"`{command('runs', 'send', '--to', 'ADDRESS')}` sends to another store."
        )


def _told_kept(journals: list[Journal], fault: TrackingError, why: bool) -> str:
    runs = f"{counted(len(journals), 'run')} {'is' if len(journals) == 1 else 'are'}"
    if all(journal.told == str(fault) for journal in journals) and not why:
        store = displayed(journals[0].uri)
        return f"{runs} still kept for {store}; `{command('runs', 'send')}` says why."
    for journal in journals:
        journal.tell(fault)
    until = (
        "and cannot be sent" if isinstance(fault, RefusingStoreError) else "until they can be sent"
    )
    return f"{unsent(journals)} of {counted(len(journals), 'run')} are kept {until}: {fault}"


def told_refused(journal: Journal) -> str | None:
    if not journal.refused:
        return None
    return (
        f"{counted(len(journal.refused), 'entry')} of {journal.folder / JOURNAL} cannot "
        f"be sent: {journal.refused[0]}."
    )


def unsent(journals: list[Journal]) -> str:
    """What has not been sent: "3 entries (8 metrics)"."""
    entries = [entry for journal in journals for entry in journal.entries[journal.sent :]]
    metrics = sum(len(entry["values"]) for entry in entries if entry["kind"] == "metrics")
    return f"{counted(len(entries), 'entry')} ({counted(metrics, 'metric')})"
