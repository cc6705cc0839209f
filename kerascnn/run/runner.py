"""A run: load, check, build; for each stage set trainable and fit; evaluate; save."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread

from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.events import overview
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.ensemble import Decision
from kerascnn.engine.result.run import Result
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.find import backend_of
from kerascnn.results.lookup import Kind, find_unfinished, runs_folder
from kerascnn.run.naming import run_name
from kerascnn.run.observing import explained, lost, observed, told
from kerascnn.run.result.record import (
    draw_report,
    ready_to_draw,
    record_devices,
    record_result,
    record_start,
)
from kerascnn.run.result.result import evaluate, make_result
from kerascnn.run.session import Session
from kerascnn.run.stages.checkpointer import Checkpointer
from kerascnn.run.stages.stages import fit_stages
from kerascnn.run.stages.store import StageStore
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.commands import command
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.process import contained
from kerascnn.tracking.tracker import Tracker

_NEEDED_LAST = ("scipy.optimize", "matplotlib.colors")  # to calibrate, and to colour heat maps


@contained()
def run_in(
    session: Session,
    experiment: BoundExperiment,
    observer: Observer,
    *,
    parent: str | None = None,
    resume: str | None = None,
    fresh: bool = False,
    move: bool = False,
    data: Data | None = None,
    name: str | None = None,
    report: bool = True,
    upload_model: bool = True,
    decisions: Sequence[Decision] = (),
) -> Result:
    """Runs an experiment as `run_experiment` does in this process, as one of a session's runs.

    Args:
        move: Resume on the experiment's number of devices even if the run began on another.
        data: The images; default those of the experiment's dataset.
        name: Of the run on MLflow's page; default says what differs from the experiment's first.
        report: Draw the report, the confusion matrix and MLflow's note.
        upload_model: Upload the model to MLflow, and keep the features of its images; the model is
            in the run's folder either way.
        decisions: Those by which an ensemble was put together, or an update started.
    """
    start = time.perf_counter()
    resumed = find_unfinished(resume, Kind.RUN) if resume else None
    select_backend(_backend(experiment, resumed))
    tracker = Tracker(
        experiment.name,
        name or run_name(experiment),
        runs_folder(),
        parent=parent,
        resume=resumed,
        mlflow=session.mlflow,
    )
    story = _Story(session, tracker, data, start, fresh, move, report, upload_model, decisions)
    with observed(experiment.observers, observer) as observer:
        with told(observer), session.attempt():
            result = story.run(experiment, observer)
        observer.ended(result)
    return result


@dataclass(frozen=True)
class _Story:
    """A run from its images to its result; see `run_in`."""

    session: Session
    tracker: Tracker
    data: Data | None
    start: float
    fresh: bool
    move: bool
    report: bool
    upload_model: bool
    decisions: Sequence[Decision]

    def run(self, experiment: BoundExperiment, observer: Observer) -> Result:
        tracker = self.tracker
        resume = partial(resuming, experiment=experiment, move=self.move)
        if group := self.session.group:
            group.last_words = partial(_last_words, tracker, resume, observer)
        with explained(tracker, "run", resume), tracker, Beside("matplotlib.figure") as beside:
            prepared, folder = self._begin(experiment, observer)
            if self.report:
                beside.submit(ready_to_draw)
            store = StageStore(prepared, observer.warned, run=folder.name, fresh=self.fresh)
            with Interruption() as interruption:
                asked = observer, interruption, self.start
                checkpointer = Checkpointer(prepared, folder, *asked, move=self.move)
                if not checkpointer.restore():
                    record_start(tracker, prepared, folder)
                    checkpointer.begin()
                record_devices(tracker, checkpointer.devices)
                Thread(target=_import, args=_NEEDED_LAST, daemon=True).start()
                fit_stages(prepared, tracker, observer, checkpointer, store)
                warned = observer.warned
                evaluated = evaluate(prepared, warned)
                done = checkpointer.results, checkpointer.seconds, checkpointer.devices
                result = make_result(prepared, folder, evaluated, *done, self.decisions)
                record_result(prepared, result, evaluated, tracker, warned, self.upload_model)
                if self.report:
                    draw_report(prepared, result, evaluated.test, beside, tracker, observer)
        if tracker.unsent:
            observer.warned(tracker.unsent)
        checkpointer.remove()
        return result

    def _begin(self, experiment: BoundExperiment, observer: Observer) -> tuple[Prepared, Path]:
        tracker = self.tracker
        prepared = self.session.prepare(experiment, observer, self.data)
        observer.prepared(overview(prepared))
        if inside := _inside_dataset(experiment):
            observer.warned(inside)
        run_id, folder = tracker.open()
        observer.tracked(run_id, tracker.store, str(folder))
        if untracked := tracker.untracked():
            observer.warned(untracked)
        return prepared, folder


def _last_words(
    tracker: Tracker, resume: Callable[[str], str], observer: Observer, fault: str
) -> str:
    """Tells the observer and returns what a process says that cannot end by itself."""
    said = lost(tracker.run_id, fault, resume)
    observer.failed(said)
    return said


def _import(*modules: str) -> None:
    """Imports modules while the device trains; whoever needs them reports what fails."""
    for module in modules:
        with suppress(Exception):
            import_module(module)


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


def resuming(run: str, experiment: BoundExperiment, *, move: bool) -> str:
    """The command that resumes a run, with the number of devices if it has been asked for."""
    given = list[str]()
    if move and (cluster := experiment.settings.cluster) and cluster.workers:
        given = ["--workers", str(cluster.workers)]
    elif move:
        given = ["--devices", str(experiment.training.devices)]
    return command("run", "--resume", run, *given)
