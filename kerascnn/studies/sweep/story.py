"""The story of a sweep: begin or resume it, run its trials in workers, run the winner in full."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer, heard_as
from kerascnn.errors import InputError
from kerascnn.hookspecs import Engine
from kerascnn.results.lookup import Kind, find, matching, runs_folder
from kerascnn.run.placing import LOCAL, Asked, bind_engine, workers_of
from kerascnn.runtime.address import sqlite_uri
from kerascnn.runtime.commands import command
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import counted
from kerascnn.studies.sweep.folder import DATABASE
from kerascnn.studies.sweep.observer import SweepObserver
from kerascnn.studies.sweep.part import Part, write_plan
from kerascnn.studies.sweep.plan.load import Planned, with_settings
from kerascnn.studies.sweep.plan.reach import too_few
from kerascnn.studies.sweep.result import SweepResult
from kerascnn.studies.sweep.trials.marks import scoring_of
from kerascnn.studies.sweep.trials.storage import (
    check_storage,
    create_study,
    import_optuna,
    open_study,
)
from kerascnn.studies.sweep.trials.stored import CLASSES, IMAGES, store_plan, stored_plan
from kerascnn.studies.sweep.workers.shared import check_databases
from kerascnn.tracking.tracker import Tracker


@contained()
def run_sweep(
    planned: Planned,
    observer: Observer | None = None,
    *,
    workers: int | None = None,
    storage: str | None = None,
    engine: Asked = LOCAL,
) -> SweepResult:
    """Runs a new sweep; arguments as those of `sweep_experiment`.

    Raises:
        InputError: The storage, the engine or the data are at fault.
        RunError: All trials failed.
    """
    import_optuna()
    if storage:
        check_storage(storage)
    heard = heard_as(SweepObserver, observer)
    with _placing(engine, workers, storage, heard) as (placing, begun):
        return _begin(planned, heard, placing, begun, storage)


def _begin(
    planned: Planned,
    observer: SweepObserver,
    engine: Engine,
    begun: list[str],
    storage: str | None,
) -> SweepResult:
    experiment = planned.experiment
    data = load_data(experiment, observer)
    if few := too_few(planned, len(data.validation)):
        observer.warned(few)
    better = scoring_of(planned, data.class_names).sign > 0
    with Tracker(experiment.name, _title(planned), runs_folder()) as tracker:
        _, folder = tracker.open()
        begun.append(folder.name)
        address = storage or sqlite_uri(folder / DATABASE)
        study = create_study(address, folder.name, better)
        study.set_user_attr(IMAGES, len(data.validation))
        study.set_user_attr(CLASSES, list(data.class_names))
        store_plan(study, planned)
        write_plan(planned, folder)
        part = Part(planned, study, address, folder, engine, not storage)
        return part.lead(tracker, observer)


def _title(planned: Planned) -> str:
    return f"sweep of {counted(planned.trials, 'trial')}"


@contained()
def resume_sweep(
    sweep: str,
    observer: Observer | None = None,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    workers: int | None = None,
    storage: str | None = None,
    engine: Asked = LOCAL,
) -> SweepResult:
    """Continues a sweep that was interrupted or killed, or takes part in one of another host.

    Args:
        sweep: Its id, a unique prefix of it, "last", or its folder; the whole id of another host's.
        trials: Another number of trials, at least as many as have begun; default the same.
        minutes: Another limit, with the time spent before; default the same.
        storage: Where other hosts have it; default the file in its folder.
        engine: As that of `sweep_experiment`; it may be another one than before.

    Raises:
        InputError: There is no such sweep, another process has it, or it cannot be resumed.
    """
    import_optuna()
    if storage:
        check_storage(storage)
    heard = heard_as(SweepObserver, observer)
    folder = _folder_of(sweep, storage)
    address = storage or sqlite_uri(folder / DATABASE)
    if not storage and not (folder / DATABASE).is_file():
        raise InputError(f"sweep {folder.name[:8]} is in a database: give its --storage.")
    study = open_study(address, folder.name)
    changes = {"trials": trials, "minutes": minutes}
    planned = with_settings(
        stored_plan(study), **{key: value for key, value in changes.items() if value is not None}
    )
    with _placing(engine, workers, storage, heard) as (placing, begun):
        part = Part(planned, study, address, folder, placing, not storage)
        begun.append(folder.name)
        if not folder.exists():
            return part.help(heard)
        experiment = planned.experiment.name
        with Tracker(experiment, _title(planned), runs_folder(), resume=folder) as tracker:
            tracker.open()
            store_plan(study, planned)
            write_plan(planned, folder)
            return part.lead(tracker, heard)


def _folder_of(sweep: str, storage: str | None) -> Path:
    """The sweep's folder; where another host began it, one that does not exist."""
    if storage and not matching(sweep, Kind.SWEEP):
        return runs_folder() / sweep
    return find(sweep, Kind.SWEEP)


@contextmanager
def _placing(
    asked: Asked, workers: int | None, storage: str | None, observer: SweepObserver
) -> Iterator[tuple[Engine, list[str]]]:
    """The engine, and a list for the id of the sweep, which Ctrl-C says how to resume."""
    bound, begun = bind_engine(asked), list[str]()
    try:
        with Interruption(), ExitStack() as stack:
            what = f"starting the engine {bound.name}"
            observer.progress(what, 0, 1)  # a cluster takes half a minute
            try:
                engine = stack.enter_context(workers_of(bound, workers))
            finally:
                observer.progress(what, 1, 1)
            check_databases(engine, storage)
            yield engine, begun
    except KeyboardInterrupt:
        if not begun:
            raise
        chosen = [] if bound.name == LOCAL else ["--engine", bound.name]
        again = command("sweep", "--resume", begun[0][:8], *chosen)
        raise KeyboardInterrupt(f"interrupted; `{again}` resumes the sweep.") from None
