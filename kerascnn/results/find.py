"""Finished runs: one by its name, all of them, and what their journals tell."""

import os
import warnings
from datetime import datetime
from pathlib import Path

from kerascnn.engine.result.folds import FOLDS, FoldsResult
from kerascnn.engine.result.outcome import Outcome
from kerascnn.engine.result.run import RESULT, Result
from kerascnn.errors import InputError
from kerascnn.results.lookup import Kind, find, folders, matching, runs_folder
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.commands import command
from kerascnn.tracking.journal import Journal
from kerascnn.tracking.model_registry import PREFIX, registered_run
from kerascnn.tracking.store import TrackingError, fetch_run


def find_run(run: str | os.PathLike[str] | Result) -> Result:
    """Finds a finished run.

    Args:
        run: A run's id, a unique prefix of one, "last", "models:/NAME@ALIAS", or its folder; a
            result is returned as it is.

    Raises:
        InputError: There is no such run, or more than one.
    """
    if isinstance(run, Result):
        return run
    expect(run, (str, os.PathLike), "run", ' Give a run\'s id, a prefix of one, or "last".')
    name = os.fspath(run)
    if name.startswith(PREFIX):
        name = registered_run(name)
    if name == "last":
        if finished := all_runs():
            return finished[-1]
        raise InputError(Kind.RUN.none_yet("finished "))
    if name and not matching(name, *Kind):
        return Result.read(_fetched(name) / RESULT)
    folder = find(name, Kind.RUN)
    if (folder / RESULT).is_file():
        return Result.read(folder / RESULT)
    if Kind.RUN.finished(folder):
        what = Journal.read(folder).created.get("name", "")
        raise InputError(f"{folder.name[:8]} ({what}) is not the run of an experiment.")
    raise InputError(Kind.RUN.described(folder))


def _fetched(run: str) -> Path:
    """The folder of a run that only MLflow has."""
    try:
        fetched = fetch_run(run, runs_folder())
    except TrackingError as error:
        raise InputError(f'no run "{run}" here, and {error}') from None
    if fetched is None or not (fetched / RESULT).is_file():
        raise InputError(
            f'no run "{run}" in {runs_folder()} or in MLflow; `{command("runs", "list")}` lists '
            "those that are here."
        )
    return fetched


def find_outcome(run: str | os.PathLike[str] | Outcome) -> Outcome:
    """Finds a finished run as `find_run` does, or a study of folds by its id or its folder."""
    if isinstance(run, FoldsResult | Result):
        return run
    if not isinstance(run, str | os.PathLike) or os.fspath(run) == "last":
        return find_run(run)  # type: ignore[arg-type]
    name = os.fspath(run)
    if not matching(name, Kind.FOLDS):
        return find_run(name)
    folder = find(name, Kind.RUN, Kind.FOLDS)
    if not (folder / FOLDS).is_file():
        raise InputError(Kind.FOLDS.described(folder))
    return FoldsResult.read(folder / FOLDS)


def last_experiment() -> str | None:
    """The name of the experiment that was run or resumed last."""
    begun = matching("last", *Kind)
    return Journal.read(begun[0]).created.get("experiment") if begun else None


def first_run_of(experiment: str) -> Path | None:
    """The folder of the first run of an experiment here."""
    journals = map(Journal.read, folders(*Kind))
    runs = [journal for journal in journals if journal.created.get("experiment") == experiment]
    first = min(runs, key=lambda journal: journal.created.get("time", 0), default=None)
    return first.folder if first else None


def backend_of(folder: Path) -> str | None:
    """The backend of an unfinished run."""
    tags = [entry["values"] for entry in Journal.read(folder).entries if entry["kind"] == "tags"]
    return next((values["backend"] for values in tags if "backend" in values), None)


def all_runs() -> list[Result]:
    """The finished runs of this folder, the oldest first; warns of those that cannot be read."""
    results = []
    for folder in folders(Kind.RUN):
        if not (folder / RESULT).is_file():
            continue
        try:
            results.append(Result.read(folder / RESULT))
        except InputError as fault:
            warnings.warn(str(fault), stacklevel=2)
    return sorted(results, key=_ended)


def _ended(result: Result) -> tuple[float, float]:
    """When a run ended, by its result; the file decides within one second."""
    changed = (result.folder / RESULT).stat().st_mtime
    ended = datetime.fromisoformat(result.ended).timestamp() if result.ended else changed
    return ended, changed
