"""Reads a sweep: its outcome, or its state while it runs or after it was killed."""

import tomli_w

from kerascnn.errors import InputError
from kerascnn.experiment.load import load_experiment
from kerascnn.results.lookup import Kind, find
from kerascnn.runtime.address import sqlite_uri
from kerascnn.runtime.commands import command
from kerascnn.studies.sweep.folder import DATABASE, WINNER
from kerascnn.studies.sweep.result import SWEEP, SweepResult
from kerascnn.studies.sweep.trials.outcome import Standing
from kerascnn.studies.sweep.trials.storage import check_storage, open_study
from kerascnn.studies.sweep.trials.stored import SECONDS, stored_plan


def winner_toml(sweep: str) -> str:
    """The experiment of a sweep's winner, with paths relative to the working directory.

    Raises:
        InputError: The sweep has no winner yet.
    """
    file = find(sweep, Kind.SWEEP) / WINNER
    if not file.is_file():
        again = command("sweep", "--resume", file.parent.name[:8])
        raise InputError(f"sweep {file.parent.name[:8]} has no winner yet; `{again}` continues it.")
    return tomli_w.dumps(load_experiment(file).resolved)


def read_sweep(sweep: str, storage: str | None = None) -> SweepResult:
    """The outcome of a sweep so far.

    Args:
        sweep: Its id, a unique prefix of it, "last", or its folder.
        storage: Where other hosts have it; default the file in its folder.

    Raises:
        InputError: There is no such sweep.
    """
    folder = find(sweep, Kind.SWEEP)
    if (folder / SWEEP).is_file():
        return SweepResult.read(folder / SWEEP)
    if storage:
        check_storage(storage)
    elif not (folder / DATABASE).is_file():
        raise InputError(f"sweep {folder.name[:8]} is in a database: give its --storage.")
    study = open_study(storage or sqlite_uri(folder / DATABASE), folder.name)
    standing = Standing.of(stored_plan(study), study, folder, workers=1)
    return standing.judged(study.user_attrs.get(SECONDS, 0.0))
