"""Finds runs on disk by their id, a prefix of it, their folder, or `last`."""

import os
import warnings
from datetime import datetime
from pathlib import Path

from kerascnn.engine.folds_result import FOLDS, FOLDS_PLAN, FoldsResult
from kerascnn.engine.outcome import Outcome
from kerascnn.engine.result import RESULT, SWEEP_PLAN, Result
from kerascnn.errors import InputError
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.commands import command
from kerascnn.tracking.journal import JOURNAL, RUNS, Journal
from kerascnn.tracking.model_registry import PREFIX, registered_run
from kerascnn.tracking.store import TrackingError, fetch_run


def runs_folder() -> Path:
    """The folder of all runs, in the working directory."""
    return Path(RUNS).absolute()


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
                f"no finished run in {runs_folder()} yet; create one with "
                f"`{command('run', 'FILE')}`."
            )
        return finished[-1]
    _refuse_study(run)
    found = [file for file in _finished() if file.parent.name.startswith(run)]
    if len(found) > 1:
        ids = ", ".join(file.parent.name[:12] for file in found)
        raise InputError(f'"{run}" matches {len(found)} runs: {ids}. Give more of the id.')
    if found:
        return Result.read(found[0])
    try:
        fetched = fetch_run(run, runs_folder())
    except TrackingError as error:
        raise InputError(f'no run "{run}" here, and {error}') from None
    if fetched is None or not (fetched / RESULT).is_file():
        raise InputError(
            f'no run "{run}" in {runs_folder()} or in MLflow; the folders there are named by '
            "the ids of their runs."
        )
    return Result.read(fetched / RESULT)


def find_outcome(run: str | os.PathLike[str] | Outcome) -> Outcome:
    """Finds a finished run as `find_run` does, or a study of folds by its id or its folder."""
    if isinstance(run, FoldsResult | Result):
        return run
    if isinstance(run, str | os.PathLike) and (study := _study_of_folds(os.fspath(run))):
        return FoldsResult.read(study.resolve())
    return find_run(run)  # type: ignore[arg-type]


def _study_of_folds(run: str) -> Path | None:
    """The file of the only study of folds with this folder, or with an id that begins so."""
    if Path(run, FOLDS).is_file():
        return Path(run, FOLDS)
    found = [file for file in runs_folder().glob(f"*/{FOLDS}") if file.parent.name.startswith(run)]
    return found[0] if run and len(found) == 1 else None


def _refuse_study(run: str) -> None:
    """Raises InputError if this is the id of a study."""
    for folder in runs_folder().glob(f"{run}*"):
        if (folder / SWEEP_PLAN).exists():
            shown = command("sweep", "show", folder.name[:8])
            raise InputError(f"{run} is a sweep, not a run; `{shown}` shows it and its winner.")
        if (folder / FOLDS_PLAN).exists():
            raise InputError(
                f"{run} is a study of folds, not a run: it has no network of its own. "
                f"`{command('compare', folder.name[:8], 'STUDY')}` compares it with another."
            )


def _resumed_by(folder: Path) -> str:
    """The command that resumes a study; "" for a run."""
    study = folder.name[:8]
    commands = {
        SWEEP_PLAN: command("sweep", "--resume", study),
        FOLDS_PLAN: command("folds", "--resume", study),
    }
    return next((again for plan, again in commands.items() if (folder / plan).exists()), "")


def find_unfinished(run: str) -> Path:
    """Finds the folder of a run that can be resumed.

    Args:
        run: A run's id, a unique prefix of one, or "last": the last unfinished one.

    Raises:
        InputError: There is no such run, or more than one.
    """
    folders = sorted((file.parent for file in runs_folder().glob(f"*/{JOURNAL}")), key=_begun)
    if run == "last":
        runs = [folder for folder in folders if not _resumed_by(folder)]
        unfinished = (folder for folder in reversed(runs) if not _has_ended_well(folder))
        if found := next(unfinished, None):
            return found
        raise InputError("no unfinished run in this folder: nothing to resume.")
    named = [folder for folder in folders if folder.name.startswith(run)]
    if len(named) != 1:
        shown = ", ".join(folder.name[:12] for folder in named)
        which = f"matches {len(named)} runs: {shown}" if named else "matches no run in this folder"
        raise InputError(f"--resume {run}: {which}.")
    if again := _resumed_by(named[0]):
        raise InputError(f"--resume {run}: this is a study; `{again}` resumes it.")
    if _has_ended_well(named[0]):
        raise InputError(f"--resume {run}: this run has finished; there is nothing to resume.")
    return named[0]


def _begun(folder: Path) -> int:
    """When a run began or was last resumed, by its journal: uploading changes its files."""
    starts = [e for e in Journal.read(folder).entries if e["kind"] in ("create", "resume")]
    return max((entry.get("time", 0) for entry in starts), default=0)


def last_experiment() -> str | None:
    """The name of the experiment that was run or resumed last."""
    begun = sorted((file.parent for file in runs_folder().glob(f"*/{JOURNAL}")), key=_begun)
    return Journal.read(begun[-1]).created.get("experiment") if begun else None


def first_run_of(experiment: str) -> Path | None:
    """The folder of the first run of an experiment here."""
    journals = [Journal.read(file.parent) for file in runs_folder().glob(f"*/{JOURNAL}")]
    runs = [journal for journal in journals if journal.created.get("experiment") == experiment]
    first = min(runs, key=lambda journal: journal.created.get("time", 0), default=None)
    return first.folder if first else None


def _has_ended_well(folder: Path) -> bool:
    entries = Journal.read(folder).entries
    return bool(entries) and entries[-1].get("status") == "FINISHED"


def backend_of(folder: Path) -> str | None:
    """The backend of an unfinished run."""
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
    """When a run ended, by its result; the file decides within one second."""
    changed = (result.folder / RESULT).stat().st_mtime
    ended = datetime.fromisoformat(result.ended).timestamp() if result.ended else changed
    return ended, changed


def _finished() -> list[Path]:
    return sorted(runs_folder().glob(f"*/{RESULT}"))
