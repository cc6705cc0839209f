"""Compiles a model for a stage and trains it epoch by epoch."""

import math
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from kerascnn.engine.data.batches import Ahead, Batch, Feed
from kerascnn.engine.metrics.standing import Standing, judge
from kerascnn.engine.network.build import HEAD, Built
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.optimizers import averaged, make_optimizer
from kerascnn.engine.training.plan import Epoch, Listener, Plan
from kerascnn.engine.training.progress import (
    Progress,
    assign,
    random_state,
    set_random_state,
    stage_state,
    values,
)
from kerascnn.errors import RunError
from kerascnn.runtime.compilation import assert_finite, fit_source, jit_compile
from kerascnn.runtime.keras_internals import learning_rate, schedule_step

AT_ONCE = 64
"""Steps in one call at most: they take some 0.1 s, in which no other hears of them."""
NOT_FINITE = "a loss that is not finite"
"""What TensorFlow's fault says where that ends such a call; the steps before it follow."""


def compile_stage(
    network: Built, plan: Plan, trainer: Any, steps: int, *, one_by_one: bool = False
) -> Any:
    """Compiles for this stage with a new optimizer; returns its schedule as a callback.

    Args:
        network: The network.
        plan: The stage.
        trainer: The model that trains.
        steps: Those of an epoch.
        one_by_one: Each step is a call of its own, whose loss may be anything.
    """
    import keras

    stage = plan.stage
    schedule = plan.schedule(
        peak_learning_rate=stage.learning_rate,
        steps=steps * stage.epochs,
        steps_per_epoch=steps,
    )
    is_callback = isinstance(schedule, keras.callbacks.Callback)
    at_once = 1 if is_callback or one_by_one else _steps_at_once(trainer, steps)
    optimizer = make_optimizer(
        stage.optimizer,
        stage.learning_rate if is_callback else schedule,
        weight_decay=stage.weight_decay,
        clip_norm=stage.clip_norm,
        factors=_factors(network, stage.layer_decay),
        ema_decay=_decay(stage.ema_fraction, steps * stage.epochs),
    )
    trainer.compile(
        optimizer,
        loss=_loss(trainer, stage.label_smoothing, ends_the_call=at_once > 1),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile(),
        steps_per_execution=at_once,
    )
    trainer.optimizer.build(trainer.trainable_variables)
    callback = schedule if is_callback else keras.callbacks.Callback()
    callback.set_model(trainer)
    callback.set_params({"epochs": stage.epochs, "steps": steps})
    callback.on_train_begin()
    return callback


def _loss(trainer: Any, label_smoothing: float, *, ends_the_call: bool) -> Any:
    """Cross-entropy; NaN as soon as a statistic that training moves is not finite.

    A training step uses the batch's own statistics: it would not show. Of several steps in one
    call, the first with such a loss is the last that is taken.
    """
    import keras
    from keras import ops

    layers = [layer for layer in trainer.layers if layer.trainable]
    weights = [weight for layer in layers for weight in layer.non_trainable_weights]
    moved = [weight for weight in weights if keras.backend.is_float_dtype(weight.dtype)]

    class Loss(keras.losses.CategoricalCrossentropy):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            sums = [ops.sum(ops.stop_gradient(weight.value)) for weight in moved]
            losses = super().call(y_true, y_pred) + 0.0 * sum(sums)
            if ends_the_call:
                assert_finite(losses, NOT_FINITE, schedule_step(trainer.optimizer))
            return losses

    return Loss(label_smoothing=label_smoothing)


def _steps_at_once(trainer: Any, steps: int) -> int:
    """Steps that TensorFlow takes in one call: a head's on features are less work than the call.

    Their number divides that of an epoch, for what it is asked for in one call it takes whole.
    """
    import keras

    if keras.config.backend() != "tensorflow" or len(trainer.input_shape) > 2:
        return 1
    return max(count for count in range(1, min(steps, AT_ONCE) + 1) if steps % count == 0)


def _decay(fraction: float | None, steps: int) -> float | None:
    """The decay of an average that forgets within that fraction of the steps."""
    return None if fraction is None else 1 - 1 / max(1.0, fraction * steps)


def _factors(network: Built, layer_decay: float) -> dict[str, float]:
    """Each variable's factor: 1 in the head, times `layer_decay` with every block before it."""
    if layer_decay == 1:
        return {}
    depth = {block: index for index, block in enumerate([HEAD, *reversed(network.blocks)])}
    return {
        variable.path: layer_decay ** depth[network.block_of[layer.name]]
        for layer in network.model.layers
        for variable in layer.trainable_variables
        if network.block_of[layer.name] != HEAD
    }


class _Fit:
    """`Model.fit` for one epoch after another, all on one source of batches."""

    def __init__(self, trainer: Any, feed: Feed) -> None:
        self._trainer, self._feed = trainer, feed
        self._open = ExitStack()

    def __enter__(self) -> "_Fit":
        shapes = self._trainer.input_shape, self._trainer.output_shape, (None,)
        self._source = self._open.enter_context(fit_source(self._batches, shapes))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, epoch: int, first: int, callback: Any) -> dict[str, float]:
        """Trains an epoch from a step on, or until told to stop; returns loss and accuracy."""
        self._epoch, self._first = epoch, first
        self._fault: Exception | None = None
        self._begun: Ahead[Batch] | None = None
        try:
            logs = self._trainer.fit(
                self._source(),
                epochs=epoch,
                initial_epoch=epoch - 1,
                steps_per_epoch=self._feed.steps - first,
                shuffle=False,
                verbose=0,
                callbacks=[callback],
            ).history
        except Exception:
            if self._fault:
                raise self._fault from None
            raise
        finally:
            if self._begun:
                self._begun.close()
        return {name: float(logs[name][0]) for name in ("loss", "accuracy")}

    def _batches(self) -> Iterator[Batch]:
        """Notes what a batch could not be made for; TensorFlow buries it in a fault of its own."""
        try:
            self._begun = self._feed.epoch(self._epoch, self._first)
            yield from self._begun
        except Exception as fault:
            self._fault = fault
            raise


def train_epochs(
    plan: Plan, inputs: Inputs, schedule: Any, progress: Progress, listener: Listener
) -> Iterator[Standing]:
    """Trains one epoch at a time, on from where the stage is.

    Args:
        plan: The stage.
        inputs: What it trains on; its trainer is compiled.
        schedule: What `compile_stage` returned.
        progress: How far the stage is; is kept up to date.
        listener: Is told of every step and epoch.

    Yields:
        How the weights do after each epoch, or their moving average, which is in place meanwhile.

    Raises:
        RunError: A loss is not finite.
    """
    optimizer = inputs.trainer.optimizer

    def keep() -> None:
        listener.keep(stage_state(progress, plan.keep, inputs.trainer, schedule))

    try:
        with _Fit(inputs.trainer, inputs.feed) as fit:
            while len(progress.history) < plan.stage.epochs:
                for _ in _spans(fit, plan, inputs, schedule, progress, listener):
                    keep()
                epoch, standing = _end_epoch(plan, inputs, progress)
                m = epoch.metrics
                in_keras_words = {"loss": m["train_loss"], "accuracy": m["train_accuracy"]}
                schedule.on_epoch_end(epoch.number - 1, m | in_keras_words)
                listener.epoch(epoch)
                with averaged(optimizer):
                    yield standing
                if len(progress.history) < plan.stage.epochs and listener.pause(True):
                    keep()
    finally:
        schedule.on_train_end()


def _spans(
    fit: _Fit, plan: Plan, inputs: Inputs, schedule: Any, progress: Progress, listener: Listener
) -> Iterator[None]:
    """Trains the rest of an epoch, and yields wherever the listener wants it set down."""
    trainer, steps = inputs.trainer, inputs.feed.steps
    while progress.step < steps:
        start = time.perf_counter()
        span = _span(trainer, schedule, progress, steps, listener)
        try:
            progress.logs = fit(len(progress.history) + 1, progress.step, span)
        except Exception as fault:
            taken = re.search(rf"{NOT_FINITE}\D*(\d+)", str(fault))
            if not taken:
                raise
            progress.logs = {"loss": math.nan}
            span.broken = int(taken[1]) - len(progress.history) * steps + 1
        progress.seconds += time.perf_counter() - start
        progress.step += span.steps
        if span.broken or not math.isfinite(progress.logs["loss"]):
            raise _not_finite(
                plan,
                inputs,
                progress,
                f"{progress.logs['loss']} after step {span.broken or progress.step} of {steps}",
                untrained=not progress.history and (span.broken or progress.step) == 1,
            )
        if listener.pause(False):
            progress.metrics = values(trainer.metrics_variables)
            progress.random = random_state()
            yield


def _end_epoch(plan: Plan, inputs: Inputs, progress: Progress) -> tuple[Epoch, Standing]:
    """Judges the weights, or their moving average, and closes the epoch's books."""
    optimizer, validation = inputs.trainer.optimizer, inputs.validation
    with averaged(optimizer):
        standing = judge(inputs.forward(validation.inputs, plan.batch_size), validation.labels)
    if not math.isfinite(standing.score.loss):
        raise _not_finite(
            plan,
            inputs,
            progress,
            f"{progress.logs['loss']}, on the validation images {standing.score.loss}",
        )
    metrics = {
        "train_loss": progress.logs["loss"],
        "train_accuracy": progress.logs["accuracy"],
        "val_loss": standing.score.loss,
        "val_accuracy": standing.score.accuracy,
        "learning_rate": _applied_rate(optimizer),
        "seconds": progress.seconds,
        "images_per_second": inputs.feed.examples / progress.seconds,
    }
    epoch = Epoch(len(progress.history) + 1, metrics)
    progress.end_epoch(epoch)
    return epoch, standing


def _not_finite(
    plan: Plan, inputs: Inputs, progress: Progress, loss: str, *, untrained: bool = False
) -> RunError:
    """Says what to do; a loss before the first update says nothing of the learning rate."""
    said = f'stage "{plan.stage.name}", epoch {len(progress.history) + 1}: the loss is {loss}'
    if untrained:
        return RunError(
            f"{said}, before any weight has changed: the weights that the stage starts with give "
            "outputs that are not finite, or training.precision is too narrow for them."
        )
    return RunError(
        f"{said}, at learning rate {_applied_rate(inputs.trainer.optimizer):.1e}; a smaller "
        "learning_rate, a warm-up or clip_norm = 1.0 may help."
    )


def _span(trainer: Any, schedule: Any, progress: Progress, steps: int, listener: Listener) -> Any:
    """The callback of one call of `fit`.

    It hands each step on to the schedule's callback and the listener; where the schedule is none,
    without waiting for the step. It ends the call where the listener wants a pause, and where the
    loss is not finite.
    """
    import keras

    first = progress.step

    class Span(keras.callbacks.Callback):
        async_safe = type(schedule) is keras.callbacks.Callback
        steps = 0
        broken: int | None = None

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if first == 0:
                schedule.on_epoch_begin(epoch)
            else:
                assign(trainer.metrics_variables, progress.metrics)  # `fit` has reset them

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if first and batch == 0:
                set_random_state(progress.random)  # PyTorch's loader has drawn from it
            schedule.on_train_batch_begin(first + batch)
            self.steps = batch + trainer.steps_per_execution
            if listener.pause(False):
                trainer.stop_training = True

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            schedule.on_train_batch_end(first + batch)
            listener.step(first + batch + 1, steps)
            if self.broken is None and not math.isfinite(logs["loss"]):
                self.broken = first + batch + 1
                trainer.stop_training = True

    return Span()


def _applied_rate(optimizer: Any) -> float:
    """The learning rate of the last step that was taken."""
    import keras
    from keras import ops

    rate = learning_rate(optimizer)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(schedule_step(optimizer) - 1)
    return float(ops.convert_to_numpy(rate))
