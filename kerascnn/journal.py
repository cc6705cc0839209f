"""What a run logs goes through a journal on disk, so that no tracking server can lose or stop it.

The journal is a file of JSON lines in the run's folder; a thread sends its entries in order.
Sending an entry twice changes nothing, for metrics carry their own time, so what a server missed
is simply sent again by a later command.
"""

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from kerascnn.tracking import (
    TAG,
    Entry,
    TrackingError,
    create_run,
    open_store,
    send,
    shown_uri,
    tracking_uri,
)

RUNS = "kerascnn-runs"
JOURNAL = "tracking.jsonl"
STATE = "tracking.json"

START_SECONDS = 30.0  # a fresh SQLite store takes some; a server that answers takes less
END_SECONDS = 120.0  # for the model's upload; a server that is gone fails sooner
RETRY_SECONDS = 30.0


@dataclass
class Journal:
    """The entries of one run on disk, and how many of them the store has.

    Args:
        folder: The run's folder.
        uri: The tracking store.
        mlflow_id: The run's id in the store, None until it has been created there.
        sent: The number of entries that the store has.
    """

    folder: Path
    uri: str
    mlflow_id: str | None = None
    sent: int = 0
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Journal":
        """Reads a run's journal; a password that the address needs is in MLFLOW_TRACKING_URI."""
        state = json.loads((folder / STATE).read_text())
        uri = tracking_uri() if shown_uri(tracking_uri()) == state["uri"] else state["uri"]
        lines = (folder / JOURNAL).read_text().splitlines()
        return cls(folder, uri, state["mlflow_id"], state["sent"], list(map(json.loads, lines)))

    @property
    def pending(self) -> int:
        return len(self.entries) - self.sent

    def add(self, kind: str, **content: Any) -> None:
        entry = {"kind": kind, "time": int(time.time() * 1000), **content}
        self.entries.append(entry)
        if self.folder.is_dir():
            with (self.folder / JOURNAL).open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def write(self) -> None:
        """Puts the whole journal into the run's folder, which may just have been made."""
        (self.folder / JOURNAL).write_text("".join(json.dumps(e) + "\n" for e in self.entries))
        self.save_state()

    def save_state(self) -> None:
        if self.folder.is_dir():
            state = {"uri": shown_uri(self.uri), "mlflow_id": self.mlflow_id, "sent": self.sent}
            (self.folder / STATE).write_text(json.dumps(state))

    def send(self) -> None:
        """Sends what is pending, in order; raises TrackingError where the store fails."""
        with open_store(self.uri) as client:
            while self.sent < len(self.entries):
                entry = dict(self.entries[self.sent])
                if "path" in entry:
                    entry["path"] = str(self.folder / entry["path"])
                if self.mlflow_id is None:
                    self.mlflow_id = create_run(client, self.uri, entry)
                else:
                    send(client, self.mlflow_id, entry)
                self.sent += 1
        self.save_state()


class Tracker:
    """Tracks one run; nothing that the store does stops or slows who logs.

    The store is made ready at once, in the background; the run exists from `open` on.

    Args:
        experiment: The name of the MLflow experiment.
        name: The name of the run.
        runs: The folder that holds the runs' folders.
    """

    def __init__(self, experiment: str, name: str, runs: Path) -> None:
        self._local_id = uuid.uuid4().hex
        self._runs = runs
        self._journal = Journal(runs / self._local_id, tracking_uri())
        self._changed = threading.Condition()
        self._closing = False
        self.fault: str | None = None
        self._create = {"experiment": experiment, "name": name}
        self._thread = threading.Thread(target=self._work, daemon=True, name="kerascnn-tracking")
        self._thread.start()

    def open(self) -> tuple[str, Path]:
        """Waits for the run's id in the store, a while, and makes the run's folder.

        Returns:
            The id, MLflow's own where the store has answered, and the folder.
        """
        self._add("create", **self._create)
        with self._changed:
            self._changed.wait_for(lambda: self._journal.sent or self.fault, START_SECONDS)
            run_id = self._journal.mlflow_id or self._local_id
            self._journal.folder = self._runs / run_id
            self._journal.folder.mkdir(parents=True)
            self._journal.write()
        self._add("tags", values={TAG: run_id})
        return run_id, self._journal.folder

    def params(self, values: dict[str, Any]) -> None:
        self._add("params", values=values)

    def tags(self, values: dict[str, Any]) -> None:
        self._add("tags", values=values)

    def metrics(self, values: dict[str, float], step: int) -> None:
        self._add("metrics", values=values, step=step)

    def artifact(self, path: Path) -> None:
        """Logs a file or folder of the run's folder."""
        self._add("artifact", path=path.name)

    def model(self, path: Path) -> None:
        """Logs a folder that `save_model` has written."""
        self._add("model", path=path.name)

    def close(self, status: str = "FINISHED") -> str | None:
        """Ends the run; returns what could not be sent and why, in one sentence, or None."""
        self._add("end", status=status)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(END_SECONDS)
        pending = self._journal.pending
        self._journal.save_state()
        if not pending:
            return None
        return (
            f"{pending} entries could not be sent to {self.fault or shown_uri(self._journal.uri)}; "
            f"they are kept in {self._journal.folder} and sent by the next `kerascnn run`, "
            "`compare` or `ui` that reaches it."
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
                    return
                if self.fault:
                    self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
                else:
                    self._changed.wait_for(lambda: self._closing or self._journal.pending)


def send_pending(runs: Path) -> list[str]:
    """Sends what earlier runs could not; returns a sentence for each run that was completed."""
    done = []
    for state in sorted(runs.glob(f"*/{STATE}")):
        with FileLock(state.with_suffix(".lock")):
            journal = Journal.read(state.parent)
            if not journal.pending or journal.entries[-1]["kind"] != "end":
                continue
            try:
                count = journal.pending
                journal.send()
                done.append(f"sent {count} kept entries of run {state.parent.name[:8]}")
            except TrackingError:
                journal.save_state()
    return done
