"""What one host does of a sweep: it runs trials and, as the leader, the winner."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from kerascnn.engine.observer import optional
from kerascnn.engine.result.run import EXPERIMENT, SWEEP_PLAN, Result
from kerascnn.errors import RunError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.paths import written_to
from kerascnn.hookspecs import Engine
from kerascnn.run.experiment import run_experiment
from kerascnn.runtime.files import write_whole
from kerascnn.studies.sweep.folder import WINNER
from kerascnn.studies.sweep.observer import SweepObserver
from kerascnn.studies.sweep.plan.load import Planned
from kerascnn.studies.sweep.report.note import note, numbers, params
from kerascnn.studies.sweep.report.page import PAGE, write_page
from kerascnn.studies.sweep.result import SWEEP, SweepResult
from kerascnn.studies.sweep.trials.drawing import settings_of
from kerascnn.studies.sweep.trials.outcome import Standing
from kerascnn.studies.sweep.trials.storage import numbered, release
from kerascnn.studies.sweep.trials.stored import SECONDS
from kerascnn.studies.sweep.workers.shared import shared_by
from kerascnn.studies.sweep.workers.supervision import Supervision
from kerascnn.studies.sweep.workers.worker import Job
from kerascnn.tracking.tracker import Tracker

if TYPE_CHECKING:
    from optuna import Study


def write_plan(planned: Planned, folder: Path) -> None:
    """The sweep as a file that can be run again, with the resolved experiment beside it."""
    _write_experiment(planned.experiment, folder / EXPERIMENT)
    settings = planned.settings.model_dump(mode="json", exclude_none=True)
    asked = {"experiment": EXPERIMENT, **settings, "space": planned.tables}
    write_whole(folder / SWEEP_PLAN, tomli_w.dumps(asked))


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
        engine: Starts the processes that run trials.
        alone: Whether no other host takes part.
    """

    planned: Planned
    study: "Study"
    address: str
    folder: Path
    engine: Engine
    alone: bool

    @property
    def standing(self) -> Standing:
        return Standing.of(self.planned, self.study, self.folder, self.engine.places)

    def lead(self, tracker: Tracker, observer: SweepObserver) -> SweepResult:
        """Runs the trials and then the winner, and records them."""
        if self.alone:  # no worker has outlived the process that started it
            release(self.study, None)
        self._enqueue()
        (self.folder / SWEEP).unlink(missing_ok=True)
        tracker.tags({"study": "sweep"})
        seconds = self._run_trials(observer)
        result = self.standing.judged(seconds)
        if result.best is None:
            reasons = dict.fromkeys(trial.reason for trial in result.trials if trial.reason)
            raise RunError(f"no trial is complete: {'; '.join(reasons) or 'none has begun'}.")
        start = time.monotonic()
        winner = self._run_winner(result, observer)
        result = replace(result, winner=winner, seconds=seconds + time.monotonic() - start)
        result.write()
        with optional(f"the page {PAGE}", observer):
            write_page(result)
        _record(result, tracker)
        observer.sweep_ended(result)
        return result

    def help(self, observer: SweepObserver) -> SweepResult:
        """Runs trials of a sweep that another host leads."""
        seconds = self._run_trials(observer)
        result = self.standing.judged(seconds)
        observer.sweep_ended(result)
        return result

    def _run_trials(self, observer: SweepObserver) -> float:
        """Runs what is left of the trials; returns the seconds, with those of earlier processes."""
        before = self.study.user_attrs.get(SECONDS, 0.0)
        minutes, standing = self.planned.settings.minutes, self.standing
        until = None if minutes is None else time.time() + 60 * minutes - before
        shared = shared_by(self.planned.experiment, self.folder, self.address)
        job = Job(self.address, self.study.study_name, self.folder, "", until, shared)
        supervision = Supervision(standing, job, self.engine, observer, self.alone, before)
        observer.sweep_started(standing.result(before))
        try:
            supervision.run()
        finally:
            self.study.set_user_attr(SECONDS, supervision.seconds)
        return supervision.seconds

    def _enqueue(self) -> None:
        """Queues the settings that are drawn beforehand, unless they are queued already."""
        done = len(numbered(self.study.get_trials(deepcopy=False)))
        for drawn in settings_of(self.planned)[done:]:
            self.study.enqueue_trial(self.planned.space.stored(drawn))

    def _run_winner(self, result: SweepResult, observer: SweepObserver) -> Result:
        assert result.best is not None
        experiment = self.planned.space.bound(result.best.params)
        _write_experiment(experiment, self.folder / WINNER)
        return run_experiment(experiment, observer, parent=self.study.study_name)


def _record(result: SweepResult, tracker: Tracker) -> None:
    """Records a sweep in its run on MLflow."""
    tracker.params(params(result))
    tracker.metrics(numbers(result), step=0)
    tracker.tags(
        {
            "mlflow.note.content": note(result),
            "mlflow.source.name": "kerascnn sweep",
            "mlflow.source.type": "LOCAL",
        }
    )
    for name in (SWEEP_PLAN, EXPERIMENT, WINNER, SWEEP, PAGE):
        if (result.folder / name).is_file():
            tracker.artifact(result.folder / name)
