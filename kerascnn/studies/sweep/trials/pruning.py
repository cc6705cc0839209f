"""When a trial is given up: the judges of a sweep."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerascnn.engine.metrics.race import Verdict, verdict
from kerascnn.run.result.look import Look
from kerascnn.studies.sweep.plan.load import Planned
from kerascnn.studies.sweep.trials.marks import Board

if TYPE_CHECKING:
    from optuna import Trial

Judge = Callable[["Trial", Look, int, int], str]
"""Returns why a trial is pruned after a look, or ""; receives its number and seed, too."""

STARTUP_TRIALS = 5  # that the median needs
REDUCTION = 3  # of Hyperband: the best third continues


def optuna_pruner(planned: Planned) -> Any:
    """Optuna's pruner; that of a race decides nothing."""
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    if planned.settings.pruner == "median":
        return MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=1)
    if planned.settings.pruner == "hyperband":
        epochs = sum(stage.settings.epochs for stage in planned.experiment.stages)
        return HyperbandPruner(1, max(epochs, 1), REDUCTION)
    return NopPruner()


def judge_of(planned: Planned, board: Board) -> Judge:
    """The judge of the sweep's pruner."""
    judges: dict[str, Judge] = {
        "race": Race(planned, board),
        "median": _asks_optuna("worse than the median of the trials before"),
        "hyperband": _asks_optuna(f"not among the best of {REDUCTION} in Hyperband"),
        "none": lambda trial, look, number, seed: "",
    }
    return judges[planned.settings.pruner]


def _asks_optuna(why: str) -> Judge:
    def judge(trial: "Trial", look: Look, number: int, seed: int) -> str:
        return f"{why}, after epoch {look.epoch}" if trial.should_prune() else ""

    return judge


class Race:
    """Drops a trial that a paired test says is worse than the best so far; see `metrics.race`.

    It decides in the last stage: the weights of earlier ones are only where it starts from.
    """

    def __init__(self, planned: Planned, board: Board) -> None:
        self._planned = planned
        self._board = board

    def __call__(self, trial: "Trial", look: Look, number: int, seed: int) -> str:
        if look.stage != self._planned.experiment.stages[-1].name:
            return ""
        marks = self._board.scoring.marks(look.probabilities, look.labels)
        if marks is None:
            return ""
        self._board.keep(number, seed, look.stage_epoch, look.stage_epochs, marks)
        curves = self._board.curves()
        found = verdict(self._board.scoring, number, curves, self._planned.trials)
        return self._reason(found, look) if found and found.drop else ""

    def _reason(self, found: Verdict, look: Look) -> str:
        mine, theirs = (self._board.scoring.sign * value for value in (found.mine, found.theirs))
        p_value = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
        return (
            f"worse than trial {found.leader} at epoch {found.epoch} of {look.stage}: at best "
            f"{mine:.3f} by epoch {look.stage_epoch} against {theirs:.3f} on the same "
            f"{len(look.labels):,} images, {p_value} after correction"
        )
