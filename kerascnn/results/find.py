"""Runs on disk: each has a folder with its experiment, result, predictions and model."""

import os
import warnings
from datetime import datetime
from pathlib import Path

from kerascnn.engine.result import RESULT, Result
from kerascnn.errors import InputError
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.commands import command
from kerascnn.tracking.journal import JOURNAL, RUNS, Journal
from kerascnn.tracking.model_registry import PREFIX, registered_run
from kerascnn.tracking.store import TrackingError, fetch_run


def runs_folder() -> Path:
    """The folder that holds the runs' folders, in the working directory."""
    return Path(RUNS).absolute()


def find_run(run: str | os.PathLike[str] | Result) -> Result:
    """Finds a finished run.

    Args:
        run: A run's id, a unique prefix of one, "last", "models:/NAME@ALIAS", or its folder; a
            result stands for itself.

    Raises:
        InputError: There is none such, or more than one.
    """
    if isinstance(run, Result):
        return run
    expect(run, (str, os.PathLike), "run", ' A run\'s id, a prefix of one, or "last" names it.')
    run = os.fspath(run)
    if not run:
        raise InputError('run: expected a run\'s id, a prefix of one, or "last", not "".')
    if Path(run, RESULT).is_file():
        return Result.read(Path(run, RESULT).resolve())
    if run.startswith(PREFIX):
        run = registered_run(run)
    if run == "last":
        if not (finished := all_runs()):
            raise InputError(
                f"there is no finished run here yet, in {runs_folder()}; "
                f"`{command('run', 'FILE')}` makes one."
            )
        return finished[-1]
    found = [file for file in _finished() if file.parent.name.startswith(run)]
    if len(found) > 1:
        ids = ", ".join(file.parent.name[:12] for file in found)
        raise InputError(f'"{run}" is the beginning of {len(found)} runs: {ids}.')
    if found:
        return Result.read(found[0])
    try:
        fetched = fetch_run(run, runs_folder())
    except TrackingError as error:
        raise InputError(f'there is no run "{run}" here, and {error}') from None
    if fetched is None or not (fetched / RESULT).is_file():
        raise InputError(
            f'there is no run "{run}" in {runs_folder()} or in MLflow; their ids are the names of '
            "the folders there."
        )
    return Result.read(fetched / RESULT)


def find_unfinished(run: str) -> Path:
    """Finds a run that can go on; returns its folder.

    Args:
        run: A run's id, a unique prefix of one, or "last": of those that have not ended well.

    Raises:
        InputError: There is none such, or more than one.
    """
    folders = sorted((file.parent for file in runs_folder().glob(f"*/{JOURNAL}")), key=_begun)
    if run == "last":
        unfinished = (folder for folder in reversed(folders) if not _has_ended_well(folder))
        if found := next(unfinished, None):
            return found
        raise InputError("there is no unfinished run here: nothing to resume.")
    named = [folder for folder in folders if folder.name.startswith(run)]
    if len(named) != 1:
        shown = ", ".join(folder.name[:12] for folder in named)
        is_it = f"is the beginning of {len(named)} runs: {shown}" if named else "is no run here"
        raise InputError(f'--resume {run}: "{run}" {is_it}.')
    if _has_ended_well(named[0]):
        raise InputError(f"--resume {run}: that run is finished: nothing to resume.")
    return named[0]


def _begun(folder: Path) -> int:
    """When a run began or was last resumed, in its own words: sending it changes its files too."""
    starts = [e for e in Journal.read(folder).entries if e["kind"] in ("create", "resume")]
    return max((entry.get("time", 0) for entry in starts), default=0)


def last_experiment() -> str | None:
    """The name of the experiment whose run was begun last."""
    begun = sorted((file.parent for file in runs_folder().glob(f"*/{JOURNAL}")), key=_begun)
    return Journal.read(begun[-1]).created.get("experiment") if begun else None


def first_run_of(experiment: str) -> Path | None:
    """The folder of the first run of an experiment that is here."""
    journals = [Journal.read(file.parent) for file in runs_folder().glob(f"*/{JOURNAL}")]
    runs = [journal for journal in journals if journal.created.get("experiment") == experiment]
    first = min(runs, key=lambda journal: journal.created.get("time", 0), default=None)
    return first.folder if first else None


def _has_ended_well(folder: Path) -> bool:
    entries = Journal.read(folder).entries
    return bool(entries) and entries[-1].get("status") == "FINISHED"


def backend_of(folder: Path) -> str | None:
    """The backend that a run began on."""
    tags = [entry["values"] for entry in Journal.read(folder).entries if entry["kind"] == "tags"]
    return next((values["backend"] for values in tags if "backend" in values), None)


def all_runs() -> list[Result]:
    """The finished runs of this folder, the oldest first; warns of those that cannot be read."""
    results = []
    for file in _finished():
        try:
            results.append(Result.read(file))
        except InputError as fault:
            warnings.warn(str(fault), stacklevel=2)
    return sorted(results, key=_ended)


def _ended(result: Result) -> tuple[float, float]:
    """When a run ended, in its own words; the file decides within one second."""
    changed = (result.folder / RESULT).stat().st_mtime
    told = datetime.fromisoformat(result.ended).timestamp() if result.ended else changed
    return told, changed


def _finished() -> list[Path]:
    return sorted(runs_folder().glob(f"*/{RESULT}"))
