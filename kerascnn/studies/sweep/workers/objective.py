"""One trial: a setting is trained with each seed, and judged on the validation images."""

import math
import shutil
import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.engine.observer import Observer
from kerascnn.errors import ResumeError, RunError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.run.result.look import Look
from kerascnn.run.session import Session
from kerascnn.run.trial import TrialResult, run_trial
from kerascnn.runtime.redact import scrubbed
from kerascnn.studies.sweep.folder import trial_folder
from kerascnn.studies.sweep.plan.load import Planned
from kerascnn.studies.sweep.report.labels import settings
from kerascnn.studies.sweep.trials.marks import Board
from kerascnn.studies.sweep.trials.pruning import Judge
from kerascnn.studies.sweep.trials.storage import OUTCOME, SURPLUS, WORKER, numbered

if TYPE_CHECKING:
    from optuna import Study, Trial


class SurplusError(Exception):
    """Another worker has begun the last trial in the same moment."""


@dataclass
class Objective:
    """Runs trials of Optuna, one after another, in this process.

    Args:
        parent: MLflow's id of the sweep.
        worker: The name of this process among all that work on the sweep.
    """

    planned: Planned
    study: "Study"
    folder: Path
    parent: str
    worker: str
    session: Session
    board: Board
    judge: Judge
    _done: list[TrialResult] = field(default_factory=list)

    def __call__(self, trial: "Trial") -> float:
        trial.set_user_attr(WORKER, self.worker)
        number = self._number(trial)
        if number >= self.planned.trials:
            trial.set_user_attr(SURPLUS, True)
            raise SurplusError
        self._done = []
        reason = ""
        try:
            params = self.planned.space.suggest(trial)
            experiment = self.planned.space.bound(params)
            for seed in range(self.planned.settings.seeds):
                done = self._run(trial, experiment, number, seed, params)
                self._done.append(done)
                if done.pruned:
                    reason = done.pruned
                    break
            value = self._value()
        except KeyboardInterrupt:
            raise SystemExit("interrupted") from None  # Optuna would count the trial as failed
        except Exception as error:
            self.board.forget(number)
            self._record(trial, scrubbed(str(error) or type(error).__name__))
            raise
        self._record(trial, reason)
        if reason:
            from optuna import TrialPruned

            raise TrialPruned
        return value

    def _number(self, trial: "Trial") -> int:
        attempts = numbered(self.study.get_trials(deepcopy=False))
        return [attempt.number for attempt in attempts].index(trial.number)

    def _run(
        self,
        trial: "Trial",
        experiment: BoundExperiment,
        number: int,
        seed: int,
        params: dict[str, Any],
    ) -> TrialResult:
        folder = trial_folder(self.folder, number, seed)
        before = sum(done.look.epochs for done in self._done)

        def judge(look: Look) -> str:
            self._report(trial, look, before)
            return self.judge(trial, look, number, seed)

        run = partial(
            run_trial,
            experiment.with_overrides({"seed": experiment.seed + seed}),
            Observer(),
            session=self.session,
            folder=folder,
            name=_name(number, seed if self.planned.settings.seeds > 1 else None, params),
            parent=self.parent,
            judge=judge,
        )
        try:
            return run(resume=folder.exists())
        except ResumeError:  # code or images have changed since
            shutil.rmtree(folder)
            return run()

    def _report(self, trial: "Trial", look: Look, before: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of epochs that an earlier attempt has reported
            trial.report(self._metric(look.metrics), before + look.epoch)

    def _metric(self, metrics: dict[str, float]) -> float:
        metric = self.planned.settings.metric
        value = metrics.get(metric, math.nan)
        if not math.isfinite(value):
            raise RunError(f"{metric} is not defined on the validation images.")
        return value

    def _value(self) -> float:
        """The mean over the seeds that have run."""
        values = [self._metric(done.look.metrics) for done in self._done]
        return sum(values) / len(values)

    def _record(self, trial: "Trial", reason: str) -> None:
        metric = self.planned.settings.metric
        history = [
            epoch[metric] for done in self._done for epoch in done.history if metric in epoch
        ]
        losses = [done.look.metrics["val_loss"] for done in self._done]
        outcome = {
            "reason": reason,
            "seconds": sum(done.seconds for done in self._done),
            "history": history,
            "loss": sum(losses) / len(losses) if losses else None,
            "value": self._value() if self._done else None,
        }
        trial.set_user_attr(OUTCOME, outcome)


def _name(number: int, seed: int | None, params: dict[str, Any]) -> str:
    """The trial's name on MLflow's page."""
    run = str(number) if seed is None else f"{number}, seed +{seed}"
    return f"trial {run}: {', '.join(settings(params, params))}"
