"""When a trial is given up: the judges of a sweep."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerascnn.run.look import Look
from kerascnn.studies.sweep.load import Planned

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


def _asks_optuna(planned: Planned) -> Judge:
    pruner = planned.settings.pruner
    why = {"median": "worse than the median", "hyperband": f"not in the best of {REDUCTION}"}

    def judge(trial: "Trial", look: Look, number: int, seed: int) -> str:
        return f"{why[pruner]} after epoch {look.epoch}" if trial.should_prune() else ""

    return judge


def judge_of(planned: Planned) -> Judge:
    if planned.settings.pruner in ("median", "hyperband"):
        return _asks_optuna(planned)
    return lambda trial, look, number, seed: ""
