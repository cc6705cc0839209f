"""Where a stage is, and its state for a checkpoint: gathered and restored."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.listener import Epoch
from kerascnn.engine.training.variables import (
    assign,
    check_finite,
    optimizer_variables,
    random_state,
    set_random_state,
    values,
)
from kerascnn.runtime.keras_internals import build_metrics


@dataclass
class StageProgress:
    history: list[Epoch] = field(default_factory=list)  # the completed epochs
    step: int = 0  # completed steps of the current epoch
    seconds: float = 0.0  # time spent on these steps
    logs: dict[str, float] = field(default_factory=dict)  # their loss and accuracy
    metrics: list[np.ndarray] = field(default_factory=list)  # values of the metric variables
    random: State = field(default_factory=dict)  # `random_state()` after the last step
    own: Standing | None = None  # of its best epoch; with `keep="last"`, of its last
    best_epoch: int = 0  # that one's number, from 1
    carried: list[np.ndarray] = field(default_factory=list)  # weights if it ended now

    def end_epoch(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        self.step, self.seconds, self.logs, self.metrics, self.random = 0, 0.0, {}, [], {}


def stage_state(progress: StageProgress, keep: str, trainer: Any, schedule: Any) -> State:
    """Gathers the state of a stage, except the variables of the network.

    With `keep` "last", no weights to carry forward are stored. Raises RunError if a number is not
    finite.
    """
    optimizer = values(optimizer_variables(trainer.optimizer))
    check_finite(optimizer, "the optimizer")
    return {
        **vars(progress),
        "history": [asdict(epoch) for epoch in progress.history],
        "own": progress.own and vars(progress.own),
        "carried": progress.carried if keep != "last" else [],
        "optimizer": optimizer,
        "schedule": {name: value for name, value in vars(schedule).items() if _plain(name, value)},
        "random": random_state(),
    }


def restore_stage(state: State, trainer: Any, schedule: Any) -> StageProgress:
    """Restores the state from `stage_state`; the trainer has just been compiled for the stage."""
    from keras import ops

    # `fit` would create these at its first step, drawing from PyTorch's generator
    build_metrics(trainer, ops.zeros((1, *trainer.output_shape[1:])))
    assign(optimizer_variables(trainer.optimizer), state["optimizer"])
    vars(schedule).update(state["schedule"])
    set_random_state(state["random"])
    own = state["own"] and Standing(**state["own"])
    history = [Epoch(**epoch) for epoch in state["history"]]
    names = ("step", "seconds", "logs", "metrics", "random", "best_epoch")
    plain = {name: state[name] for name in names}
    return StageProgress(history=history, own=own, carried=state["carried"], **plain)


def _plain(name: str, value: Any) -> bool:
    """Whether an attribute of a callback is state that a checkpoint can store."""
    if isinstance(value, dict):
        return (
            name != "params" and all(isinstance(k, str) for k in value) and _plains(value.values())
        )
    if isinstance(value, list | tuple):
        return _plains(value)
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)


def _plains(parts: Iterable[Any]) -> bool:
    return all(_plain("", part) for part in parts)
