"""Reads a sweep: its outcome, or how it stands while it runs or after it was killed."""

from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.address import sqlite_uri
from kerascnn.studies.sweep.find import DATABASE, PLAN, find_sweep
from kerascnn.studies.sweep.load import load_sweep
from kerascnn.studies.sweep.outcome import SECONDS, Standing
from kerascnn.studies.sweep.result import SWEEP, SweepResult
from kerascnn.studies.sweep.storage import check_storage, open_study
from kerascnn.studies.sweep.stored import stored_plan


def best_experiment(sweep: str, storage: str | None = None) -> BoundExperiment:
    """The experiment of the best trial so far; arguments as those of `read_sweep`.

    Raises:
        InputError: There is no such sweep, or no trial of it is complete.
    """
    found = read_sweep(sweep, storage)
    if found.best is None:
        raise InputError(f"sweep {found.study[:8]}: no trial is complete yet.")
    return load_sweep(found.folder / PLAN).space.bound(found.best.params)


def read_sweep(sweep: str, storage: str | None = None) -> SweepResult:
    """The outcome of a sweep so far.

    Args:
        sweep: Its id, a unique prefix of it, "last", or its folder.
        storage: Where other hosts have it; default the file in its folder.

    Raises:
        InputError: There is no such sweep.
    """
    folder = find_sweep(sweep)
    if (folder / SWEEP).is_file():
        return SweepResult.read(folder / SWEEP)
    if storage:
        check_storage(storage)
    elif not (folder / DATABASE).is_file():
        raise InputError(f"sweep {folder.name[:8]} is in a database: give its --storage.")
    study = open_study(storage or sqlite_uri(folder / DATABASE), folder.name)
    standing = Standing.of(stored_plan(study), study, folder, workers=1)
    return standing.judged(study.user_attrs.get(SECONDS, 0.0))
