"""The state of a sweep: its trials from Optuna's database and from their folders."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.studies.sweep.folder import trial_folder
from kerascnn.studies.sweep.plan.load import Planned
from kerascnn.studies.sweep.result import SweepResult, Trial
from kerascnn.studies.sweep.trials.marks import Board, board_of
from kerascnn.studies.sweep.trials.storage import OUTCOME, numbered
from kerascnn.studies.sweep.trials.stored import CLASSES, IMAGES
from kerascnn.tracking.journal import Journal

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

LEAST_FOR_IMPORTANCE = 10  # complete trials


@dataclass(frozen=True)
class Standing:
    """A sweep in progress: its plan, its study, and what the validation images show.

    Args:
        folder: The sweep's folder.
        workers: Number of workers.
    """

    planned: Planned
    study: "Study"
    folder: Path
    board: Board
    workers: int
    _runs: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, planned: Planned, study: "Study", folder: Path, workers: int) -> "Standing":
        board = board_of(planned, study.user_attrs[CLASSES], folder)
        return cls(planned, study, folder, board, workers)

    def trials(self) -> list[Trial]:
        """All trials that have begun."""
        attempts = numbered(self.study.get_trials(deepcopy=False))[: self.planned.trials]
        begun = [
            (number, attempt)
            for number, attempt in enumerate(attempts)
            if attempt.state.name != "WAITING" or "failed_trial" in attempt.system_attrs
        ]
        return [self._trial(number, attempt) for number, attempt in begun]

    def _trial(self, number: int, attempt: "FrozenTrial") -> Trial:
        outcome = attempt.user_attrs.get(OUTCOME, {})
        state, ended = _STATES[attempt.state.name], attempt.datetime_complete
        history = outcome.get("history") or list(attempt.intermediate_values.values())
        return Trial(
            number=number,
            state=state,
            value=outcome.get("value") if state in ("complete", "pruned") else None,
            interval=self.board.interval(number) if state in ("complete", "pruned") else None,
            params=self.planned.space.given(attempt.params),
            seconds=outcome.get("seconds"),
            run_id=self._run_id(number),
            epochs=len(history),
            history=history,
            reason=outcome.get("reason", _LOST if state == "failed" else ""),
            ended=ended.astimezone(UTC).isoformat(timespec="milliseconds") if ended else "",
        )

    def _run_id(self, number: int) -> str | None:
        folder = trial_folder(self.folder, number, 0)
        if number in self._runs or not folder.is_dir():
            return self._runs.get(number)
        journal = Journal.read(folder)
        if journal.mlflow_id:
            self._runs[number] = journal.mlflow_id
        return journal.mlflow_id or journal.created.get("run")

    def best(self, trials: Sequence[Trial]) -> Trial | None:
        """The complete trial with the best value; the earlier one of two that are equal."""
        sign = self.board.scoring.sign
        complete = [trial for trial in trials if trial.state == "complete"]
        return max(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)

    def result(self, seconds: float) -> SweepResult:
        trials = self.trials()
        settings = self.planned.settings.model_dump(mode="json", exclude={"metric"})
        return SweepResult(
            study=self.study.study_name,
            name=self.planned.experiment.name,
            metric=self.planned.settings.metric,
            greater_is_better=self.board.scoring.sign > 0,
            images=self.study.user_attrs[IMAGES],
            space=self.planned.tables,
            trials=trials,
            best=self.best(trials),
            not_told_apart=[],
            optimism=None,
            importance={},
            winner=None,
            seconds=seconds,
            settings={**settings, "trials": self.planned.trials, "workers": self.workers},
            artifacts=str(self.folder),
        )

    def judged(self, seconds: float) -> SweepResult:
        """The sweep with what its trials say together."""
        result = self.result(seconds)
        if result.best is None:
            return result
        complete = [trial.number for trial in result.trials if trial.state == "complete"]
        alike = self.board.alike(complete, result.best.number)
        return replace(
            result,
            not_told_apart=alike,
            optimism=self.board.optimism(complete, result.best.number),
            importance=self._importance() if len(alike) + 1 < len(complete) else {},
        )

    def _importance(self) -> dict[str, float]:
        """The share of each key in the variance of the values (fANOVA, Hutter et al. 2014)."""
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances
        from optuna.trial import TrialState

        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = {trial.value for trial in complete}
        if len(complete) < LEAST_FOR_IMPORTANCE or len(values) < 2:
            return {}
        found = get_param_importances(self.study, evaluator=FanovaImportanceEvaluator(seed=0))
        return {key: share for key, share in found.items() if math.isfinite(share)}


_STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
_LOST = "its workers were lost each time it was tried, as for lack of memory"
