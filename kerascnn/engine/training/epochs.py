"""Trains a compiled stage epoch by epoch."""

import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from kerascnn.engine.data.batches.feed import Ahead, Batch, Feed
from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.compile import NOT_FINITE
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.listener import Epoch, Listener
from kerascnn.engine.training.optimizers import averaged
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.progress import StageProgress, stage_state
from kerascnn.engine.training.rate_callback import added
from kerascnn.engine.training.validation import validate
from kerascnn.engine.training.variables import assign, random_state, set_random_state, values
from kerascnn.errors import RunError
from kerascnn.runtime.compilation import fit_source
from kerascnn.runtime.keras_internals import learning_rate, schedule_step


class _Fit:
    """`Model.fit` for one epoch after another, all on one source of batches."""

    def __init__(self, trainer: Any, feed: Feed) -> None:
        self._trainer, self._feed = trainer, feed
        self._at_once = trainer.steps_per_execution
        self._open = ExitStack()

    def __enter__(self) -> "_Fit":
        batch = self._trainer.input_shape, self._trainer.output_shape, (None,)
        shapes = [(None, *shape) for shape in batch] if self._at_once > 1 else batch
        self._source = self._open.enter_context(fit_source(self._batches, shapes))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, epoch: int, first: int, callback: Any) -> dict[str, float]:
        """Trains an epoch from step `first` until its end or a stop; returns loss and accuracy."""
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
        """Keeps the exception that a batch raised: TensorFlow hides it in one of its own."""
        try:
            self._begun = self._feed.epoch(self._epoch, self._first, self._at_once)
            yield from self._begun
        except Exception as fault:
            self._fault = fault
            raise


@dataclass(frozen=True)
class Loop:
    """The training loop of one stage."""

    plan: Plan
    inputs: Inputs  # with a compiled trainer
    schedule: Any  # that of `Compiled`
    progress: StageProgress  # where the stage is; updated as it trains
    listener: Listener
    due: Callable[[bool], bool]  # of `Control`
    checkpoint: Callable[[State], None]  # of `Control`

    def epochs(self) -> Iterator[Standing]:
        """Trains one epoch at a time, from where the stage is.

        Yields the score of the weights, or of their moving average, which is in place meanwhile.
        Raises RunError if a loss is not finite.
        """
        schedule = self.schedule
        try:
            with _Fit(self.inputs.trainer, self.inputs.feed) as fit:
                while self._epochs_left:
                    self._train(fit)
                    epoch, standing = self._end_epoch()
                    m = epoch.metrics
                    keras_names = {"loss": m["train_loss"], "accuracy": m["train_accuracy"]}
                    logs = {**m, **keras_names}
                    schedule.on_epoch_end(epoch.number - 1, logs)
                    m |= added({**m, **keras_names}, logs, self.plan.schedule_of)
                    self.listener.epoch(epoch)
                    with averaged(self.inputs.trainer.optimizer):
                        yield standing
                    if self._epochs_left and self.due(True):
                        self._checkpoint()
        finally:
            schedule.on_train_end()

    @property
    def _epochs_left(self) -> int:
        return self.plan.stage.epochs - len(self.progress.history)

    def _checkpoint(self) -> None:
        trainer = self.inputs.trainer
        self.checkpoint(stage_state(self.progress, self.plan.keep, trainer, self.schedule))

    def _train(self, fit: _Fit) -> None:
        """Trains the rest of an epoch, pausing for checkpoints."""
        progress, steps = self.progress, self.inputs.feed.steps
        while progress.step < steps:
            start = time.perf_counter()
            span = self._span()
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
                broken = span.broken or progress.step
                raise self._not_finite(
                    f"{progress.logs['loss']} after step {broken} of {steps}",
                    untrained=not progress.history and broken == 1,
                )
            if self.due(False):
                progress.metrics = values(self.inputs.trainer.metrics_variables)
                progress.random = random_state()
                self._checkpoint()

    def _end_epoch(self) -> tuple[Epoch, Standing]:
        """Scores the weights, or their moving average, and records the epoch."""
        inputs, progress = self.inputs, self.progress
        optimizer, validation = inputs.trainer.optimizer, inputs.validation
        with averaged(optimizer):
            probabilities = inputs.forward(validation.inputs, inputs.at_once)
            standing, named = validate(
                self.plan, probabilities, validation.labels, self.listener.warned
            )
        if not math.isfinite(standing.loss):
            raise self._not_finite(
                f"{progress.logs['loss']}, on the validation images {standing.loss}"
            )
        metrics = {f"val_{name}": value for name, value in named.items()} | {
            "train_loss": progress.logs["loss"],
            "train_accuracy": progress.logs["accuracy"],
            "val_loss": standing.loss,
            "val_accuracy": standing.accuracy,
            "learning_rate": _applied_rate(optimizer),
            "seconds": progress.seconds,
            "images_per_second": inputs.feed.examples / progress.seconds,
        }
        epoch = Epoch(len(progress.history) + 1, metrics)
        progress.end_epoch(epoch)
        return epoch, standing

    def _not_finite(self, loss: str, *, untrained: bool = False) -> RunError:
        """A loss before the first update does not depend on the learning rate."""
        epoch = len(self.progress.history) + 1
        said = f'stage "{self.plan.stage.name}", epoch {epoch}: the loss is {loss}'
        if untrained:
            return RunError(
                f"{said}, before any weight has changed: the initial weights of the stage give "
                "outputs that are not finite, or training.precision is too narrow for them."
            )
        rate = _applied_rate(self.inputs.trainer.optimizer)
        return RunError(
            f"{said}, at learning rate {rate:.1e}; try a smaller learning_rate, a warm-up or "
            "clip_norm = 1.0."
        )

    def _span(self) -> Any:
        """The callback of one call of `fit`.

        It forwards each step to the schedule's callback and the listener, without waiting for the
        step if there is no such callback. It ends the call at a pause and at a loss that is not
        finite.
        """
        import keras

        trainer, schedule, progress = self.inputs.trainer, self.schedule, self.progress
        first, total = progress.step, self.inputs.feed.steps
        due, listener, one_at_a_time = self.due, self.listener, threading.Lock()

        class Span(keras.callbacks.Callback):
            async_safe = type(schedule) is keras.callbacks.Callback
            steps = done = 0
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
                self.steps = min(batch + trainer.steps_per_execution, total - first)
                if due(False):
                    trainer.stop_training = True

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                step = min(first + batch + 1, total)
                schedule.on_train_batch_end(first + batch)
                with one_at_a_time:  # Keras may call from several threads, in any order
                    if step > self.done:
                        self.done = step
                        listener.step(step, total)
                    if not math.isfinite(logs["loss"]):
                        self.broken = min(self.broken or step, step)
                        trainer.stop_training = True

        return Span()


def _applied_rate(optimizer: Any) -> float:
    """The learning rate of the last step."""
    import keras
    from keras import ops

    rate = learning_rate(optimizer)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(schedule_step(optimizer) - 1)
    return float(ops.convert_to_numpy(rate))
