"""A run: load, check, build; for each stage set trainable and fit; evaluate; save."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from threading import Thread

from kerascnn.components.entry_points import plugin_at_fault
from kerascnn.engine.events import StageStart, overview, stage_start
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result import Result
from kerascnn.engine.training.listener import Epoch, Listener
from kerascnn.engine.training.stage import fit_stage
from kerascnn.errors import KerascnnError, RunError
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.results.find import backend_of, find_unfinished, runs_folder
from kerascnn.run.checkpointer import Checkpointer
from kerascnn.run.naming import run_name
from kerascnn.run.observing import observed
from kerascnn.run.record import (
    draw_report,
    ready_to_draw,
    record_epoch,
    record_result,
    record_stage,
    record_start,
)
from kerascnn.run.result import evaluate, make_result
from kerascnn.run.stage_store import StageStore
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.commands import command
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.process import contained, put_back
from kerascnn.runtime.redact import scrubbed
from kerascnn.runtime.tracebacks import said
from kerascnn.tracking.tracker import Tracker

_NEEDED_LAST = ("scipy.optimize", "matplotlib.colors")  # to calibrate, and to colour heat maps


@contained()
def run_experiment(
    experiment: BoundExperiment,
    observer: Observer | None = None,
    *,
    parent: str | None = None,
    resume: str | None = None,
    fresh: bool = False,
) -> Result:
    """Runs an experiment from its images to a tracked, evaluated and saved model.

    Args:
        experiment: From `load_experiment`.
        observer: Receives the events, besides the experiment's observers; default prints them on
            standard error; `Observer()` shows nothing.
        parent: The id of the run to show this one under on MLflow's page; default none.
        resume: The id of an unfinished run to resume exactly, a prefix of it, or "last"; default a
            new run.
        fresh: Train every stage, even one that an earlier run has trained with the same outcome.

    Returns:
        The result; its `model` loads the trained network.

    Raises:
        InputError: The experiment, its data or its packages are at fault, or differ from those of
            the run to resume.
        RunError: A check failed, or training failed.
    """
    check_experiment(experiment)
    start = time.perf_counter()
    observer = observer or default_observer()
    resumed = find_unfinished(resume) if resume else None
    select_backend(_backend(experiment, resumed))
    name = run_name(experiment)
    tracker = Tracker(experiment.name, name, runs_folder(), parent=parent, resume=resumed)
    with observed(experiment.observers, observer) as observer:
        with _told(observer):
            result = _run(experiment, observer, tracker, start, fresh)
        observer.ended(result)
    return result


def _run(
    experiment: BoundExperiment, observer: Observer, tracker: Tracker, start: float, fresh: bool
) -> Result:
    with _explained(tracker), tracker, Beside("matplotlib.figure") as beside:
        prepared, folder = _begin(experiment, observer, tracker)
        beside.submit(ready_to_draw)
        store = StageStore(prepared, observer.warned, run=folder.name, fresh=fresh)
        with Interruption() as interruption:
            checkpointer = Checkpointer(prepared, folder, observer, interruption, start)
            if not checkpointer.restore():
                record_start(tracker, prepared, folder)
                checkpointer.begin()
            Thread(target=_import, args=_NEEDED_LAST, daemon=True).start()
            _fit_stages(prepared, tracker, observer, checkpointer, store)
            evaluated = evaluate(prepared, observer.warned)
            result = make_result(
                prepared, folder, evaluated, checkpointer.results, checkpointer.seconds
            )
            record_result(prepared, result, evaluated, tracker)
            draw_report(prepared, result, evaluated.test, beside, tracker, observer)
    if tracker.unsent:
        observer.warned(tracker.unsent)
    checkpointer.remove()
    return result


def _import(*modules: str) -> None:
    """Imports modules while the device trains; whoever needs them reports what fails."""
    for module in modules:
        with suppress(Exception):
            import_module(module)


@contextmanager
def _told(observer: Observer) -> Iterator[None]:
    """Tells the observer of an error that ends the run."""
    try:
        yield
    except KeyboardInterrupt as error:
        observer.interrupted(str(error) or "interrupted")
        raise
    except BaseException as error:
        observer.failed(scrubbed(str(error) or type(error).__name__))
        raise


@contextmanager
def _explained(tracker: Tracker) -> Iterator[None]:
    """Names the run in an error that is not kerascnn's own, and how to resume it."""
    try:
        yield
    except KerascnnError:
        raise
    except BaseException as error:
        if tracker.run_id is None:
            raise
        run = tracker.run_id[:8]
        if isinstance(error, KeyboardInterrupt):
            again = command("run", "--resume", run)
            raise KeyboardInterrupt(f"interrupted; `{again}` resumes the run.") from None
        raise RunError(f"run {run} failed: {said(error)}{plugin_at_fault(error)}") from error


def _begin(
    experiment: BoundExperiment, observer: Observer, tracker: Tracker
) -> tuple[Prepared, Path]:
    prepared = prepare_experiment(experiment, observer)
    put_back(gc.collect)  # when all is released: Keras models are large, and reference cycles
    observer.prepared(overview(prepared))
    if inside := _inside_dataset(experiment):
        observer.warned(inside)
    run_id, folder = tracker.open()
    observer.tracked(run_id, tracker.store, str(folder))
    if untracked := tracker.untracked():
        observer.warned(untracked)
    return prepared, folder


def _backend(experiment: BoundExperiment, resumed: Path | None) -> str:
    """The experiment's; for "auto", a resumed run keeps the backend that it started on."""
    asked, started = experiment.training.backend, resumed and backend_of(resumed)
    return started if started and asked == "auto" else asked


def _inside_dataset(experiment: BoundExperiment) -> str | None:
    """A warning if the runs are written inside the folder of the dataset."""
    path, runs = experiment.settings.dataset.params.get("path"), runs_folder()
    if path is None or not runs.resolve().is_relative_to(Path(path).expanduser().resolve()):
        return None
    return (
        f"this run is written to {runs}, inside the folder of the dataset. Its files are not read "
        "as images; to keep the two apart, start runs from another folder."
    )


def _fit_stages(
    prepared: Prepared,
    tracker: Tracker,
    observer: Observer,
    checkpointer: Checkpointer,
    store: StageStore,
) -> None:
    train, validation = prepared.examples()
    warned = cache(observer.warned)  # stages may repeat a warning
    done = checkpointer.results
    for plan in prepared.plans[len(done) :]:
        result = None if checkpointer.stage else store.take(plan, done)
        reused_from = result.reused_from if result else None
        start = stage_start(plan, len(prepared.plans), done, reused_from)
        observer.stage_started(start)
        if result is None:
            result = fit_stage(
                prepared.network,
                plan,
                train,
                validation,
                done[-1].standing if done else None,
                _listener(start, tracker, observer, warned),
                checkpointer,
                checkpointer.stage,
            )
            store.keep(plan, result)
        else:
            for epoch in result.history:
                record_epoch(tracker, start, epoch)
        record_stage(tracker, result)
        observer.stage_ended(result)
        checkpointer.stage_ended(result)


def _listener(
    stage: StageStart, tracker: Tracker, observer: Observer, warned: Callable[[str], None]
) -> Listener:
    """Passes a stage's events to the observer and the tracker."""

    def epoch(done: Epoch) -> None:
        record_epoch(tracker, stage, done)
        observer.epoch(done, stage.epochs)

    prefix = partial(observer.progress, "running the frozen prefix")
    return Listener(prefix, observer.step, epoch, warned)
