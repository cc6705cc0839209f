"""One stage: set what trains, cut at the boundary, fit epoch by epoch, prove the freeze."""

import time
from dataclasses import dataclass, field

import numpy as np

from kerascnn.config import Stage
from kerascnn.data.batches import Examples
from kerascnn.network.boundary import cut
from kerascnn.network.build import Built
from kerascnn.network.freezing import (
    check_frozen,
    check_optimizer,
    count_trainable,
    digest,
    frozen_variables,
    set_trainable,
    trainable_layers,
)
from kerascnn.network.inference import to_numpy
from kerascnn.training.epochs import compile_stage, train_epochs
from kerascnn.training.inputs import Cached, Inputs, make_inputs
from kerascnn.training.plan import NOBODY, Epoch, Listener, Plan
from kerascnn.training.standing import Standing


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Args:
        choice: What trained, in words.
        standing: On the validation images, with the weights that the stage hands on.
        own: The same with the stage's own best epoch (with `keep="last"`, its last).
        before: The same with the weights that the stage started from; None for the first stage.
        kept: False where the weights from before the stage were better and are handed on.
        prefix_seconds: Running the frozen prefix before the first step, or finding what it gave.
        fit_seconds: Training and validation.
        cached: What came from the cache of activations, and why.
        frozen_sha256: Of the frozen weights and statistics, the same before and after the stage.
    """

    name: str
    choice: str
    epochs: int
    seconds: float
    trainable_parameters: int
    trainable_layers: list[str]
    boundary: str
    standing: Standing
    own: Standing
    before: Standing | None
    kept: bool
    prefix_seconds: float
    fit_seconds: float
    cached: Cached
    frozen_sha256: str
    history: list[Epoch] = field(repr=False)


def fit_stage(
    network: Built,
    plan: Plan,
    train: Examples,
    validation: Examples,
    before: Standing | None = None,
    listener: Listener = NOBODY,
) -> StageResult:
    """Trains one stage on the network in place.

    Args:
        network: The network; its weights are changed, those that the plan freezes provably not.
        plan: The stage.
        train: Images uint8 [N, P, P, 3], of which augmentation takes random windows [S, S].
        validation: Images uint8 [N, S, S, 3].
        before: How the weights do that the stage starts from; None for the first stage.
        listener: Is told of every step and epoch.

    Raises:
        RunError: A check failed, or the loss is not finite.
    """
    start = time.perf_counter()
    model, name = network.model, plan.stage.name
    set_trainable(model, plan.layers, plan.batchnorm)
    frozen_before = digest(frozen_variables(model))
    parts = cut(model)
    inputs = make_inputs(parts, plan, train, validation, listener.prefix)
    fit_start = time.perf_counter()
    history, handed_on, own = _fit(network, plan, inputs, before, listener)
    fit_seconds = time.perf_counter() - fit_start
    check_optimizer(inputs.trainer.optimizer, model, name)
    check_frozen(frozen_before, model, name)
    return StageResult(
        name=name,
        choice=plan.choice,
        epochs=len(history),
        seconds=time.perf_counter() - start,
        trainable_parameters=count_trainable(model),
        trainable_layers=trainable_layers(model),
        boundary=parts.boundary,
        standing=handed_on,
        own=own,
        before=before,
        kept=handed_on is own,
        prefix_seconds=inputs.prefix_seconds,
        fit_seconds=fit_seconds,
        cached=inputs.cached,
        frozen_sha256=frozen_before,
        history=history,
    )


def _fit(
    network: Built, plan: Plan, inputs: Inputs, before: Standing | None, listener: Listener
) -> tuple[list[Epoch], Standing, Standing]:
    """Fits all epochs; returns the history, the standing handed on and the stage's own."""
    schedule = compile_stage(network, plan, inputs.trainer, inputs.feed.steps)
    changing = [v for layer in network.model.layers if layer.trainable for v in layer.weights]
    snapshot = [to_numpy(variable.value) for variable in changing]
    history: list[Epoch] = []
    best = before if plan.keep == "best" else None
    own: Standing | None = None
    for epoch, standing in train_epochs(plan, inputs, schedule, listener):
        history.append(epoch)
        if own is None or plan.keep == "last" or standing.score.beats(own.score):
            own = standing
        if plan.keep == "last" or best is None or standing.score.beats(best.score):
            best, snapshot = standing, [to_numpy(variable.value) for variable in changing]
        if _stops_early(plan.stage, history):
            break
    for variable, value in zip(changing, snapshot, strict=True):
        variable.assign(value)
    assert best  # a stage has at least one epoch
    assert own
    return history, best, own


def _stops_early(stage: Stage, history: list[Epoch]) -> bool:
    if stage.early_stopping is None:
        return False
    monitor, patience = stage.early_stopping.monitor, stage.early_stopping.patience
    sign = 1 if monitor == "val_accuracy" else -1
    values = [sign * epoch.metrics[monitor] for epoch in history]
    return len(values) - 1 - int(np.argmax(values)) >= patience
