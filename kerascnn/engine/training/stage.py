"""One stage: set what trains, cut at the boundary, fit epoch by epoch, prove the freeze."""

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from kerascnn.engine.data.batches import Examples
from kerascnn.engine.metrics.standing import Standing
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.freezing import (
    check_frozen,
    check_optimizer,
    count_trainable,
    digest,
    frozen_variables,
    set_trainable,
    trainable_layers,
)
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.epochs import compile_stage, train_epochs
from kerascnn.engine.training.inputs import Cached, Inputs, make_inputs
from kerascnn.engine.training.memory import explained, shortage
from kerascnn.engine.training.plan import NOBODY, Epoch, Listener, Plan
from kerascnn.engine.training.progress import (
    Progress,
    assign,
    network_variables,
    optimizer_variables,
    put_back,
    sha256,
    values,
)
from kerascnn.experiment.model import Stage

_STANDINGS = ("own", "before")


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Args:
        choice: What trained, in words.
        own: How the stage's own best epoch (with `keep="last"`, its last) does on the validation
            images.
        before: The same with the weights that the stage started from; None for the first stage.
        kept: False where the weights from before the stage were better and are handed on.
        prefix_seconds: Running the frozen prefix before the first step, or finding what it gave.
        fit_seconds: Training and validation.
        cached: What came from the cache of activations, and why.
        frozen_sha256: Of the frozen weights and statistics, the same before and after the stage.
        ended_sha256: Of all that the stage ended with: the weights and statistics that it hands
            on, the optimizer and the generators of random numbers.
    """

    name: str
    choice: str
    epochs: int
    seconds: float
    trainable_parameters: int
    trainable_layers: list[str]
    boundary: str
    own: Standing
    before: Standing | None
    kept: bool
    prefix_seconds: float
    fit_seconds: float
    cached: Cached
    frozen_sha256: str
    ended_sha256: str
    history: list[Epoch] = field(repr=False)

    @property
    def standing(self) -> Standing:
        """On the validation images, with the weights that the stage hands on."""
        return self.own if self.kept or self.before is None else self.before

    def to_state(self) -> State:
        """For a checkpoint."""
        return {
            **vars(self),
            **{name: (at := getattr(self, name)) and at.to_state() for name in _STANDINGS},
            "cached": asdict(self.cached),
            "history": [asdict(epoch) for epoch in self.history],
        }

    @classmethod
    def from_state(cls, state: State) -> "StageResult":
        standings = {name: state[name] and Standing.from_state(state[name]) for name in _STANDINGS}
        history = [Epoch(**epoch) for epoch in state["history"]]
        cached = Cached(**state["cached"])
        return cls(**{**state, **standings, "cached": cached, "history": history})


def fit_stage(
    network: Built,
    plan: Plan,
    train: Examples,
    validation: Examples,
    before: Standing | None = None,
    listener: Listener = NOBODY,
    state: State | None = None,
) -> StageResult:
    """Trains one stage on the network in place.

    Args:
        network: The network; its weights are changed, those that the plan freezes provably not.
        plan: The stage.
        train: Images uint8 [N, P, P, 3], of which augmentation takes random windows [S, S].
        validation: Images uint8 [N, S, S, 3].
        before: How the weights do that the stage starts from; None for the first stage.
        listener: Is told of every step and epoch.
        state: What the listener was given to keep, to go on from there; the network's variables
            are those of then already.

    Raises:
        RunError: A check failed, or the loss is not finite.
    """
    spent = state or {"stage_seconds": 0.0, "fit_seconds": 0.0}  # by earlier processes
    start = time.perf_counter() - spent["stage_seconds"]
    model, name = network.model, plan.stage.name
    set_trainable(model, plan.layers, plan.batchnorm)
    frozen_before = digest(frozen_variables(model))
    parts = cut(model)
    if short := shortage(model, parts.suffix, min(plan.batch_size, len(train))):
        listener.warned(short)
    inputs = make_inputs(parts, plan, train, validation, listener)
    fit_start = time.perf_counter() - spent["fit_seconds"]

    def keep(state: State) -> None:
        now = time.perf_counter()
        times = {"stage_seconds": now - start, "fit_seconds": now - fit_start}
        listener.keep({"frozen_sha256": frozen_before, **times, **state})

    keeping = replace(listener, keep=keep)
    with explained(model, parts.suffix, plan):
        progress = _fit(network, plan, inputs, before, keeping, state)
    fit_seconds = time.perf_counter() - fit_start
    check_optimizer(inputs.trainer.optimizer, model, name)
    check_frozen(frozen_before, model, name)
    assert progress.own  # a stage has at least one epoch
    return StageResult(
        name=name,
        choice=plan.choice,
        epochs=len(progress.history),
        seconds=time.perf_counter() - start,
        trainable_parameters=count_trainable(model),
        trainable_layers=trainable_layers(model),
        boundary=parts.boundary,
        own=progress.own,
        before=before,
        kept=_is_kept(plan, progress.own, before),
        prefix_seconds=inputs.prefix_seconds,
        fit_seconds=fit_seconds,
        cached=inputs.cached,
        frozen_sha256=frozen_before,
        ended_sha256=_ended(model, inputs.trainer.optimizer),
        history=progress.history,
    )


def _fit(
    network: Built,
    plan: Plan,
    inputs: Inputs,
    before: Standing | None,
    listener: Listener,
    state: State | None,
) -> Progress:
    """Fits all epochs, or those that are left, and puts the weights in place that are handed on."""
    schedule = compile_stage(network, plan, inputs.trainer, inputs.feed.steps)
    changing = [v for layer in network.model.layers if layer.trainable for v in layer.weights]
    if state:
        progress = put_back(state, inputs.trainer, schedule)
    else:
        progress = Progress(handed_on=values(changing))
    for standing in train_epochs(plan, inputs, schedule, progress, listener):
        best = plan.keep == "last" or standing.beats(progress.own)
        if best:
            progress.own = standing
        if best and _is_kept(plan, standing, before):
            progress.handed_on = values(changing)
        if _stops_early(plan.stage, progress.history):
            break
    assign(changing, progress.handed_on)
    return progress


def _is_kept(plan: Plan, own: Standing, before: Standing | None) -> bool:
    """Whether a stage hands on its own weights, and not those that it started from."""
    return plan.keep == "last" or own.beats(before)


def _ended(model: Any, optimizer: Any) -> str:
    trained = network_variables(model, (layer.name for layer in model.layers if layer.trainable))
    return sha256(to_numpy(v.value) for v in [*trained, *optimizer_variables(optimizer)])


def _stops_early(stage: Stage, history: list[Epoch]) -> bool:
    if stage.early_stopping is None:
        return False
    monitor, patience = stage.early_stopping.monitor, stage.early_stopping.patience
    sign = 1 if monitor == "val_accuracy" else -1
    values = [sign * epoch.metrics[monitor] for epoch in history]
    return len(values) - 1 - int(np.argmax(values)) >= patience
