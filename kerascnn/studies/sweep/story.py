"""The story of a sweep: draw settings, run trials in workers, run the winner in full."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.named import build_metrics
from kerascnn.engine.observer import EVENTS, Observer, default_observer
from kerascnn.engine.result import EXPERIMENT, Result
from kerascnn.errors import RunError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.paths import written_to
from kerascnn.results.find import runs_folder
from kerascnn.run.runner import run_experiment
from kerascnn.runtime.address import sqlite_uri
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import counted
from kerascnn.studies.sweep.crew import gpus
from kerascnn.studies.sweep.drawing import settings_of
from kerascnn.studies.sweep.find import DATABASE, PLAN
from kerascnn.studies.sweep.load import Planned
from kerascnn.studies.sweep.observer import SweepObserver
from kerascnn.studies.sweep.outcome import Standing
from kerascnn.studies.sweep.result import SWEEP, SweepResult
from kerascnn.studies.sweep.storage import (
    check_storage,
    create_study,
    import_optuna,
    numbered,
    release,
)
from kerascnn.studies.sweep.stored import store_plan
from kerascnn.studies.sweep.supervision import Supervision
from kerascnn.studies.sweep.worker import Job
from kerascnn.tracking.tracker import Tracker

if TYPE_CHECKING:
    from optuna import Study

WINNER = "winner.toml"
_IMAGES, _SECONDS = "images", "seconds"  # attributes of the study


@contained()
def run_sweep(
    planned: Planned,
    observer: Observer | None = None,
    *,
    workers: int | None = None,
    storage: str | None = None,
) -> SweepResult:
    """Runs a new sweep; arguments as those of `sweep_experiment`.

    Raises:
        InputError: The storage or the data are at fault.
        RunError: All trials failed.
    """
    import_optuna()
    if storage:
        check_storage(storage)
    heard = heard_by(observer)
    experiment = planned.experiment
    data = load_data(experiment, heard)
    metrics = {f"val_{one.name}": one for one in build_metrics(experiment.metrics, data.class_names)}
    sign = metrics[planned.settings.metric].sign if planned.settings.metric in metrics else 1
    better = sign > 0 and planned.settings.metric != "val_loss"
    title = f"sweep of {counted(planned.trials, 'trial')}"
    with _interruptible() as begun, Tracker(experiment.name, title, runs_folder()) as tracker:
        _, folder = tracker.open()
        begun.append(folder.name)
        address = storage or sqlite_uri(folder / DATABASE)
        study = create_study(address, folder.name, better)
        store_plan(study, planned)
        study.set_user_attr(_IMAGES, len(data.validation))
        _write_plan(planned, folder)
        return Part(planned, study, address, folder, workers or default_workers()).lead(
            tracker, heard, alone=storage is None
        )


def default_workers() -> int:
    """One for each GPU, or one."""
    return len(gpus()) or 1


def heard_by(observer: Observer | None) -> SweepObserver:
    """The observer; of another kind it receives the events of the winner's run alone."""
    observer = observer or default_observer()
    if isinstance(observer, SweepObserver):
        return observer
    heard = SweepObserver()
    vars(heard).update({event: getattr(observer, event) for event in EVENTS})
    return heard


@contextmanager
def _interruptible() -> Iterator[list[str]]:
    """Says how to resume the sweep whose id is in the list."""
    begun: list[str] = []
    try:
        with Interruption():
            yield begun
    except KeyboardInterrupt:
        if not begun:
            raise
        again = command("sweep", "--resume", begun[0][:8])
        raise KeyboardInterrupt(f"interrupted; `{again}` resumes the sweep.") from None


def _write_plan(planned: Planned, folder: Path) -> None:
    """The sweep as a file that can be run again, with the resolved experiment beside it."""
    _write_experiment(planned.experiment, folder / EXPERIMENT)
    settings = planned.settings.model_dump(mode="json", exclude_none=True)
    asked = {"experiment": EXPERIMENT, **settings, "space": planned.tables}
    write_whole(folder / PLAN, tomli_w.dumps(asked))


def _write_experiment(experiment: BoundExperiment, file: Path) -> None:
    written = experiment.resolved
    written_to(file.parent, written, experiment.registry)
    write_whole(file, tomli_w.dumps(written))


@dataclass(frozen=True)
class Part:
    """What one host does of a sweep.

    Args:
        address: Of the storage.
        folder: The sweep's folder on this host.
    """

    planned: Planned
    study: "Study"
    address: str
    folder: Path
    workers: int

    @property
    def _standing(self) -> Standing:
        images = self.study.user_attrs[_IMAGES]
        better = self.study.direction.name == "MAXIMIZE"
        return Standing(self.planned, self.study, self.folder, images, better, self.workers)

    def lead(self, tracker: Tracker, observer: SweepObserver, *, alone: bool) -> SweepResult:
        """Runs the trials and then the winner, and records them."""
        if alone:
            release(self.study, None)
        self._enqueue()
        (self.folder / SWEEP).unlink(missing_ok=True)
        standing, supervision = self.run_trials(observer, alone=alone)
        result = standing.result(supervision.seconds)
        if result.best is None:
            reasons = {trial.reason for trial in result.trials if trial.reason}
            raise RunError(f"no trial is complete: {'; '.join(sorted(reasons)) or 'none began'}")
        result = replace(result, importance=standing.importance())
        winner = self._run_winner(result, observer)
        result = replace(result, winner=winner, seconds=supervision.seconds)
        self.study.set_user_attr(_SECONDS, result.seconds)
        result.write()
        _record(result, tracker)
        observer.sweep_ended(result)
        return result

    def run_trials(
        self, observer: SweepObserver, *, alone: bool
    ) -> tuple[Standing, Supervision]:
        """Runs what is left of the trials, in this host's workers."""
        before = self.study.user_attrs.get(_SECONDS, 0.0)
        minutes, standing = self.planned.settings.minutes, self._standing
        until = None if minutes is None else time.time() + 60 * minutes - before
        job = Job(self.address, self.study.study_name, self.folder, "", until)
        supervision = Supervision(standing, job, observer, alone, before)
        observer.sweep_started(standing.result(before))
        try:
            supervision.run()
        finally:
            self.study.set_user_attr(_SECONDS, supervision.seconds)
        return standing, supervision

    def _enqueue(self) -> None:
        """Queues the settings that are drawn beforehand, unless they are queued already."""
        done = len(numbered(self.study.get_trials(deepcopy=False)))
        for params in settings_of(self.planned)[done:]:
            self.study.enqueue_trial(self.planned.space.stored(params))

    def _run_winner(self, result: SweepResult, observer: SweepObserver) -> Result:
        assert result.best is not None
        experiment = self.planned.space.bound(result.best.params)
        _write_experiment(experiment, self.folder / WINNER)
        return run_experiment(experiment, observer, parent=self.study.study_name)


def _record(result: SweepResult, tracker: Tracker) -> None:
    """Records a sweep in its run on MLflow."""
    assert result.best is not None
    counts: dict[str, Any] = {f"trials_{state}": n for state, n in result.counts().items()}
    best = {f"best_{result.metric}": result.best.value or 0.0, "best_trial": result.best.number}
    tracker.metrics({**counts, **best}, step=0)
    for name in (PLAN, EXPERIMENT, SWEEP, WINNER):
        tracker.artifact(result.folder / name)
