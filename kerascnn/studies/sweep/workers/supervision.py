"""Watches the workers and the trials of a sweep until all trials have ended."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerascnn.errors import InputError, RunError
from kerascnn.hookspecs import Engine
from kerascnn.runtime.text import counted
from kerascnn.studies.sweep.observer import SweepObserver
from kerascnn.studies.sweep.result import Trial
from kerascnn.studies.sweep.trials.drawing import more
from kerascnn.studies.sweep.trials.outcome import Standing
from kerascnn.studies.sweep.trials.storage import (
    HEARTBEAT_SECONDS,
    numbered,
    release,
    release_silent,
)
from kerascnn.studies.sweep.trials.stored import SECONDS
from kerascnn.studies.sweep.workers.crew import Crew, Ended
from kerascnn.studies.sweep.workers.worker import Job

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

POLL_SECONDS = 0.5
LOSSES = 5  # of workers in a row, with no trial ended between them
FAILURES = 3  # if all of the first trials fail, all others would
ENDED = ("complete", "pruned", "failed")


class Supervision:
    """One host's part of a sweep.

    Args:
        standing: The sweep.
        job: Of the workers.
        engine: Starts the workers.
        observer: Receives each trial's start and end.
        alone: Whether no other host takes part.
        before: Seconds that earlier processes have spent on the sweep.
    """

    def __init__(
        self,
        standing: Standing,
        job: Job,
        engine: Engine,
        observer: SweepObserver,
        alone: bool,
        before: float,
    ) -> None:
        self._standing = standing
        self._study = standing.study
        self._job = job
        self._engine = engine
        self._observer = observer
        self._alone = alone
        self._states = {trial.number: trial.state for trial in standing.trials()}
        self._start = time.monotonic() - before
        self._losses: list[Ended] = []
        self._silence_at = 0.0

    @property
    def seconds(self) -> float:
        """That all processes of this host have spent on the sweep."""
        return time.monotonic() - self._start

    def run(self) -> None:
        """Runs all trials.

        Raises:
            InputError: The workers' hosts lack something that they must share.
            RunError: Every trial fails, or the workers do.
        """
        with Crew(self._job, self._engine) as crew:
            try:
                while self._step(crew):
                    pass
            finally:
                for ended in crew.end():
                    release(self._study, ended.worker)

    def _step(self, crew: Crew) -> bool:
        """Returns whether there is more to do."""
        attempts = self._study.get_trials(deepcopy=False)
        running = sum(attempt.state.name == "RUNNING" for attempt in attempts)
        begin = self._to_begin(attempts)
        if not (crew or running or begin):
            return False
        crew.fill(begin + running if begin else 0)
        for ended in crew.ended(POLL_SECONDS):
            release(self._study, ended.worker)
            if ended.obstacle:
                raise InputError(ended.obstacle)
            if ended.fault:
                self._lost(ended)
        self._release_silent(crew)
        self._report()
        return True

    def _to_begin(self, attempts: Sequence["FrozenTrial"]) -> int:
        planned = self._standing.planned
        late = self._job.until is not None and time.time() >= self._job.until
        if late or not more(planned, attempts):
            return 0
        waiting = sum(attempt.state.name == "WAITING" for attempt in attempts)
        return waiting + max(planned.trials - len(numbered(attempts)), 0)

    def _release_silent(self, crew: Crew) -> None:
        """Trials that a worker began and lost before anyone knew whose they are."""
        if self._alone and not crew:
            release(self._study, None)
        elif time.monotonic() > self._silence_at:
            self._silence_at = time.monotonic() + HEARTBEAT_SECONDS
            release_silent(self._study)

    def _lost(self, ended: Ended) -> None:
        self._losses.append(ended)
        self._observer.warned(f"a worker ended: {ended.fault}. Another one takes up its trial.")
        if len(self._losses) > LOSSES:
            raise RunError(f"the sweep ends after {LOSSES} lost workers in a row: {ended.fault}")

    def _report(self) -> None:
        """Tells what has changed since the last time."""
        for trial in self._standing.trials():
            before = self._states.get(trial.number)
            if trial.state == before:
                continue
            self._states[trial.number] = trial.state
            if before != "running" and trial.state != "waiting":
                self._observer.trial_started(trial)
            if trial.state in ENDED:
                self._ended(trial)

    def _ended(self, trial: Trial) -> None:
        self._losses = []
        self._study.set_user_attr(SECONDS, self.seconds)
        so_far = self._standing.result(self.seconds)
        self._observer.trial_ended(trial, so_far)
        ended = [one for one in so_far.trials if one.state in ENDED]
        if len(ended) >= FAILURES and all(one.state == "failed" for one in ended):
            raise RunError(f"the first {counted(len(ended), 'trial')} failed: {trial.reason}")
