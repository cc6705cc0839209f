"""What a run logs goes through a journal on disk, so that no tracking server can lose or stop it.

The journal is a file of JSON lines in the run's folder; a thread sends its entries in order. An
entry that is sent twice changes nothing, so what a server missed is simply sent again by a later
command. Whoever sends holds the journal's lock: a run as long as it lives.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.image_files import JOURNAL
from kerascnn.secrets import shown_uri
from kerascnn.tracking.entries import Entry, RefusedError, create_run, send
from kerascnn.tracking.store import TrackingError, open_store, tracking_uri

RUNS = "kerascnn-runs"
STATE = "tracking.json"
LOCK = "tracking.lock"


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
        kept = unsent([journal])
        try:
            journal.send()
            yield f"sent {kept} of run {journal.folder.name[:8]} that had been kept"
            if refused := told_refused(journal):
                yield refused
        except TrackingError as error:
            faults[journal.uri] = str(error)
    journal.save_state()


def _told_kept(journals: list[Journal], fault: str) -> str:
    runs = _count(len(journals), "run", "runs")
    return f"{unsent(journals)} of {runs} are kept until they can be sent: {fault}"


def told_refused(journal: Journal) -> str | None:
    if not journal.refused:
        return None
    return (
        f"{_count(len(journal.refused), 'entry', 'entries')} of {journal.folder / JOURNAL} cannot "
        f"be sent: {journal.refused[0]}."
    )


def unsent(journals: list[Journal]) -> str:
    """What has not been sent: "3 entries (8 metrics)"."""
    entries = [entry for journal in journals for entry in journal.entries[journal.sent :]]
    metrics = sum(len(entry["values"]) for entry in entries if entry["kind"] == "metrics")
    return f"{_count(len(entries), 'entry', 'entries')} ({_count(metrics, 'metric', 'metrics')})"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
