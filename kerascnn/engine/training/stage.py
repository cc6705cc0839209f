"""One stage: set trainable layers, cut at the boundary, fit, prove the freeze."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.freezing import (
    check_frozen,
    check_optimizer,
    count_trainable,
    digest,
    frozen_variables,
    read_once,
    set_trainable,
    trainable_layers,
)
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.accumulation import accumulating, normalised_note
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.devices import ONE, Devices
from kerascnn.engine.training.epochs import Loop
from kerascnn.engine.training.inputs import Inputs, make_inputs
from kerascnn.engine.training.listener import NO_PAUSES, SILENT, Control, Epoch, Listener
from kerascnn.engine.training.memory import explained, shortage
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.progress import StageProgress, restore_stage
from kerascnn.engine.training.shared import Compiled, compiled_for
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.engine.training.variables import (
    assign,
    frozen_restored,
    network_variables,
    optimizer_variables,
    sha256,
    values,
)
from kerascnn.runtime.keras_internals import calls_forgotten

P = ParamSpec("P")
T = TypeVar("T")


def _freeing(fit: Callable[Concatenate[Built, P], T]) -> Callable[Concatenate[Built, P], T]:
    """Frees what a stage made and only the network and reference cycles keep.

    Those are the halves of the network and the copy of the frozen one that runs faster, its
    trainer with the optimizer, and on some backends the images and activations.
    """

    @wraps(fit)
    def freed(network: Built, *arguments: P.args, **named: P.kwargs) -> T:
        try:
            with calls_forgotten(network.model):
                return fit(network, *arguments, **named)
        finally:
            gc.collect()

    return freed


class _Clock:
    """Counts the seconds of a stage and of its fit, with those that earlier processes spent."""

    def __init__(self, state: State | None) -> None:
        self._spent = state or {}
        self._starts = dict[str, float]()
        self.start("stage_seconds")

    def start(self, what: str) -> None:
        self._starts[what] = time.perf_counter() - self._spent.get(what, 0.0)

    def read(self) -> dict[str, float]:
        now = time.perf_counter()
        return {what: now - start for what, start in self._starts.items()}


@_freeing
def fit_stage(
    network: Built,
    plan: Plan,
    train: Examples,
    validation: Examples,
    before: Standing | None = None,
    listener: Listener = SILENT,
    control: Control = NO_PAUSES,
    state: State | None = None,
    devices: Devices = ONE,
) -> StageResult:
    """Trains one stage of the network in place; what the plan freezes is proven unchanged.

    Args:
        train: Images uint8 [N, P, P, 3], from which augmentation takes random windows [S, S].
        validation: Images uint8 [N, S, S, 3].
        before: Score of the weights that the stage starts from; None for the first stage.
        state: A state that `control` received, to resume from; the network's variables have been
            restored already.
        devices: What it trains on.

    Raises:
        RunError: A check failed, or the loss is not finite.
    """
    fit = _Fit(network, plan, before, listener, devices.agreed(control), state, devices)
    return fit.of(train, validation)


@dataclass(frozen=True)
class _Fit:
    """The training of one stage; see `fit_stage`."""

    network: Built
    plan: Plan
    before: Standing | None
    listener: Listener
    control: Control
    state: State | None
    devices: Devices

    def of(self, train: Examples, validation: Examples) -> StageResult:
        clock, plan, model = _Clock(self.state), self.plan, self.network.model
        set_trainable(model, plan.layers, plan.batchnorm)
        parts = cut(model)
        at_once = plan.at_once(len(train), self.devices.count)
        if short := shortage(model, parts.suffix, at_once):
            self.listener.warned(short)
        with read_once():
            frozen_sha256 = digest(frozen_variables(model))
            inputs = make_inputs(parts, plan, train, validation, self.listener)
        clock.start("fit_seconds")

        def checkpoint(state: State) -> None:
            self.control.checkpoint({"frozen_sha256": frozen_sha256, **clock.read(), **state})

        with explained(model, parts.suffix, plan, at_once):
            compiled, progress = self._train(inputs, checkpoint)
        fit_seconds = clock.read()["fit_seconds"]
        optimizer = compiled.inputs.trainer.optimizer
        check_optimizer(optimizer, compiled.copies.of(model.trainable_variables), plan.stage.name)
        check_frozen(frozen_sha256, model, plan.stage.name)
        assert progress.own  # a stage has at least one epoch
        seconds = clock.read()["stage_seconds"]
        return StageResult(
            name=plan.stage.name,
            choice=plan.choice,
            epochs=len(progress.history),
            seconds=seconds,
            trained_seconds=seconds,
            trainable_parameters=count_trainable(model),
            trainable_layers=trainable_layers(model),
            boundary=parts.boundary,
            own=progress.own,
            best_epoch=progress.best_epoch,
            before=self.before,
            kept=self._is_kept(progress.own),
            prefix_seconds=inputs.prefix_seconds,
            fit_seconds=fit_seconds,
            cached=inputs.cached,
            frozen_sha256=frozen_sha256,
            ended_sha256=_ended(model, optimizer),
            accumulation=plan.accumulation,
            history=progress.history,
        )

    def _train(
        self, inputs: Inputs, checkpoint: Callable[[State], None]
    ) -> tuple[Compiled, StageProgress]:
        """Trains on the devices, in micro-batches if the plan says so."""
        plan, devices = self.plan, self.devices
        with (
            frozen_restored(inputs.trainer),
            devices.holding(inputs.trainer),
            compiled_for(self.network, plan, inputs, devices.count) as compiled,
        ):
            inputs = devices.spread(compiled.inputs)
            batches = devices.micro_batches(inputs.feed.width, plan.accumulation)
            if batches.count > 1:
                inputs = replace(inputs, at_once=batches.each)
            if note := normalised_note(inputs.trainer, plan, batches):
                self.listener.warned(note)
            compiled = replace(compiled, inputs=inputs)
            with accumulating(inputs.trainer, batches):
                return compiled, self._run(compiled, checkpoint)

    def _run(self, compiled: Compiled, checkpoint: Callable[[State], None]) -> StageProgress:
        """Trains the remaining epochs, then loads the weights to carry forward."""
        plan, control = self.plan, self.control
        inputs, schedule, copies = compiled.inputs, compiled.schedule, compiled.copies
        layers = [layer for layer in self.network.model.layers if layer.trainable]
        changing = copies.of(v for layer in layers for v in layer.weights)
        if self.state:
            progress = restore_stage(self.state, inputs.trainer, schedule)
        else:
            progress = StageProgress(carried=values(changing))

        def write(state: State) -> None:
            copies.write_back()
            checkpoint(state)

        loop = Loop(plan, inputs, schedule, progress, self.listener, control.due, write)
        for standing in loop.epochs():
            best = plan.keep == "last" or standing.beats(progress.own)
            if best:
                progress.own, progress.best_epoch = standing, len(progress.history)
            if best and self._is_kept(standing):
                progress.carried = values(changing)
            last = progress.history[-1]
            if control.stops(last, standing.probabilities) or _stops_early(plan, progress.history):
                break
        assign(changing, progress.carried)
        copies.write_back()
        return progress

    def _is_kept(self, own: Standing) -> bool:
        """Whether the stage's own weights are carried forward, rather than those before it."""
        return self.plan.keep == "last" or own.beats(self.before)


def _ended(model: Any, optimizer: Any) -> str:
    trained = network_variables(model, (layer.name for layer in model.layers if layer.trainable))
    return sha256(to_numpy(v.value) for v in [*trained, *optimizer_variables(optimizer)])


def _stops_early(plan: Plan, history: list[Epoch]) -> bool:
    if plan.stage.early_stopping is None:
        return False
    monitor, patience = plan.stage.early_stopping.monitor, plan.stage.early_stopping.patience
    signs = {f"val_{metric.name}": metric.sign for metric in plan.metrics}
    sign = {**signs, "val_accuracy": 1, "val_loss": -1}[monitor]
    values = [sign * epoch.metrics[monitor] for epoch in history]
    return len(values) - 1 - int(np.argmax(values)) >= patience
