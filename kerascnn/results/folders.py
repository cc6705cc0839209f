"""The folders of runs: listing, removing, and uploading to a tracking store."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from kerascnn.engine.result.folds import FOLDS
from kerascnn.engine.result.run import RESULT
from kerascnn.errors import InputError
from kerascnn.results.lookup import Kind, find, folders, runs_folder
from kerascnn.runtime.address import address_fault, displayed
from kerascnn.runtime.files import folder_bytes
from kerascnn.tracking.entries import delete_run
from kerascnn.tracking.journal import LOCK, Journal, send_pending, trials_of
from kerascnn.tracking.store import TrackingError


@dataclass(frozen=True)
class RunFolder:
    """A run in this folder.

    Args:
        run_id: The name of its folder.
        experiment: The experiment's name.
        name: What distinguishes it from other runs of the experiment.
        status: "running", "finished", "failed", "interrupted", or "unknown" without a journal.
        started: When it began, in ISO 8601.
        test_accuracy: None unless it has finished.
        bytes: Size on disk.
        store: The tracking store it belongs to.
        unsent: Journal entries that have not been uploaded yet.
        fault: The reason of the last failed upload.
        refusing: Whether uploads fail until the user fixes something.
        folder: Its folder.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    started: str
    test_accuracy: float | None
    bytes: int
    store: str
    unsent: int
    fault: str | None
    refusing: bool
    folder: str


def list_runs() -> list[RunFolder]:
    """All runs in this folder, finished or not, the oldest first."""
    runs = map(_describe, folders(*Kind))
    return sorted(runs, key=lambda run: datetime.fromisoformat(run.started))


def _describe(folder: Path) -> RunFolder:
    journal = Journal.read(folder)
    created = journal.created
    begun = created.get("time", folder.stat().st_mtime * 1000) / 1000
    return RunFolder(
        run_id=folder.name,
        experiment=created.get("experiment", ""),
        name=created.get("name", ""),
        status=_status(journal),
        started=datetime.fromtimestamp(begun).astimezone().isoformat(timespec="milliseconds"),
        test_accuracy=_test_accuracy(folder),
        bytes=folder_bytes(folder),
        store=displayed(journal.uri),
        unsent=journal.pending,
        fault=journal.told,
        refusing=journal.refusing,
        folder=str(folder),
    )


def _status(journal: Journal) -> str:
    try:
        with FileLock(journal.folder / LOCK, timeout=0):
            pass
    except Timeout:
        return "running"
    except OSError:  # a read-only folder
        pass
    if not journal.entries:
        return "unknown"
    ended = {"FINISHED": "finished", "FAILED": "failed"}
    return ended.get(journal.entries[-1].get("status", ""), "interrupted")


def _test_accuracy(folder: Path) -> float | None:
    """Of a run, or of a study of folds."""
    for name, key in ((RESULT, "test_accuracy"), (FOLDS, "accuracy")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            return float(json.loads((folder / name).read_text("utf-8"))[key])
    return None


def find_folders(runs: Iterable[str]) -> list[Path]:
    """The folders of runs, given by their ids or unique prefixes.

    Raises:
        InputError: An id matches no run, or more than one.
    """
    return list(dict.fromkeys(find(run, *Kind) for run in runs))


def remove_run(folder: Path) -> str | None:
    """Removes a run here and marks it deleted in its store; returns the reason if that failed.

    Raises:
        InputError: It is running, or its folder cannot be removed.
    """
    with _held(folder):
        every = [folder, *trials_of(folder)]
        faults = [fault for one in every if (fault := _delete_from_store(Journal.read(one)))]
    try:
        # moved away first, so that a half removed run is never listed
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".removed-") as scratch:
            folder.rename(Path(scratch, folder.name))
    except OSError as error:
        raise InputError(f"cannot remove {error.filename}: {error.strerror}.") from error
    return faults[0] if faults else None


def _delete_from_store(journal: Journal) -> str | None:
    if not journal.mlflow_id:
        return None
    try:
        with journal.open() as client:
            delete_run(client, journal.mlflow_id)
    except TrackingError as error:
        return f"run {journal.folder.name[:8]} stays in MLflow: {error}"
    return None


def send_runs(runs: Iterable[str] = (), to: str | None = None) -> list[str]:
    """Uploads pending journal entries, to each run's own store or to another one.

    Args:
        runs: Ids or unique prefixes of the runs to move to another store; default all with pending
            entries.
        to: The address of the other store.

    Returns:
        One sentence for each run that was uploaded, and for each store that does not answer.

    Raises:
        InputError: There is no such run, it is running, or the address is not valid.
    """
    if to and (fault := address_fault(to)):
        raise InputError(f"--to {fault}")
    folders = find_folders(runs)
    if to:
        for folder in folders or [Path(run.folder) for run in list_runs() if run.unsent]:
            with _held(folder):
                for one in (folder, *trials_of(folder)):
                    Journal.read(one).redirect(to)
    return send_pending(runs_folder(), why=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Locks a run against other commands; raises InputError if it is running."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise InputError(f"run {folder.name[:8]} is running; wait for it to finish.") from None
