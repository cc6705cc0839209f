"""What the validation images say of a run's weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.listener import Epoch
from kerascnn.engine.training.stage_result import StageResult


@dataclass(frozen=True)
class Look:
    """What the validation images say after an epoch.

    Args:
        epoch: Counted through all stages, from 1.
        epochs: Of all stages, at most.
        stage: The name of the epoch's stage.
        stage_epoch: Within that stage, from 1.
        stage_epochs: Of that stage, at most.
        probabilities: float32 [N, K].
        labels: int [N].
        metrics: As in `Epoch.metrics`: `val_loss`, `val_accuracy`, others of the experiment.
    """

    epoch: int
    epochs: int
    stage: str
    stage_epoch: int
    stage_epochs: int
    probabilities: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    metrics: dict[str, float]


def look_at(
    prepared: Prepared, done: Sequence[StageResult], epoch: Epoch, probabilities: np.ndarray
) -> Look:
    """The look at an epoch of the stage that follows those that are done."""
    stage = prepared.plans[len(done)].stage
    return Look(
        epoch=sum(result.epochs for result in done) + epoch.number,
        epochs=sum(plan.stage.epochs for plan in prepared.plans),
        stage=stage.name,
        stage_epoch=epoch.number,
        stage_epochs=stage.epochs,
        probabilities=probabilities,
        labels=prepared.data.validation.labels,
        metrics=epoch.metrics,
    )


def look_back(prepared: Prepared, done: Sequence[StageResult]) -> Look:
    """The look at the weights that stages have ended with: at the epoch that they are of."""
    last = _kept_stage(done)
    return look_at(prepared, done[:last], kept_epoch(done), done[last].own.probabilities)


def kept_epoch(done: Sequence[StageResult]) -> Epoch:
    """The epoch whose weights stages have ended with."""
    result = done[_kept_stage(done)]
    return result.history[result.best_epoch - 1]


def _kept_stage(done: Sequence[StageResult]) -> int:
    return max(index for index, result in enumerate(done) if index == 0 or result.kept)
