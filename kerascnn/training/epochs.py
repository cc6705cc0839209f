"""Compiles a model for a stage and trains it epoch by epoch."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerascnn.data.batches import Batch, Feed
from kerascnn.errors import RunError
from kerascnn.network.build import HEAD, Built
from kerascnn.runtime import fit_source, jit_compile
from kerascnn.training.inputs import Inputs
from kerascnn.training.optimizers import averaged, make_optimizer
from kerascnn.training.plan import Epoch, Listener, Plan
from kerascnn.training.standing import Standing, judge


def compile_stage(network: Built, plan: Plan, trainer: Any, steps: int) -> Any:
    """Compiles for this stage with a new optimizer; returns its schedule as a callback."""
    import keras

    stage = plan.stage
    schedule = plan.schedule(
        peak_learning_rate=stage.learning_rate,
        steps=steps * stage.epochs,
        steps_per_epoch=steps,
    )
    is_callback = isinstance(schedule, keras.callbacks.Callback)
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
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=stage.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile(),
    )
    trainer.optimizer.build(trainer.trainable_variables)
    callback = schedule if is_callback else keras.callbacks.Callback()
    callback.set_model(trainer)
    callback.set_params({"epochs": stage.epochs, "steps": steps})
    callback.on_train_begin()
    return callback


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
        shapes = trainer.input_shape, trainer.output_shape, (None,)
        self._source = fit_source(self._batches, shapes)

    def __call__(self, epoch: int, callback: Any) -> tuple[float, float]:
        """Trains one epoch; returns its loss and accuracy."""
        self._epoch = epoch
        self._fault: Exception | None = None
        try:
            logs = self._trainer.fit(
                self._source(),
                epochs=epoch,
                initial_epoch=epoch - 1,
                steps_per_epoch=self._feed.steps,
                shuffle=False,
                verbose=0,
                callbacks=[callback],
            ).history
        except Exception:
            if self._fault:
                raise self._fault from None
            raise
        return float(logs["loss"][0]), float(logs["accuracy"][0])

    def _batches(self) -> Iterator[Batch]:
        """Notes what a batch could not be made for; TensorFlow buries it in a fault of its own."""
        try:
            yield from self._feed.epoch(self._epoch)
        except Exception as fault:
            self._fault = fault
            raise


def train_epochs(
    plan: Plan, inputs: Inputs, schedule: Any, listener: Listener
) -> Iterator[tuple[Epoch, Standing]]:
    """Trains one epoch at a time.

    Args:
        plan: The stage.
        inputs: What it trains on; its trainer is compiled.
        schedule: What `compile_stage` returned.
        listener: Is told of every step and epoch.

    Yields:
        Each epoch, and how the weights do after it, or their moving average, which is in place
        meanwhile.

    Raises:
        RunError: A loss is not finite.
    """
    fit = _Fit(inputs.trainer, inputs.feed)
    try:
        for number in range(1, plan.stage.epochs + 1):
            epoch, standing = _epoch(number, fit, plan, inputs, schedule, listener)
            m = epoch.metrics
            in_keras_words = {"loss": m["train_loss"], "accuracy": m["train_accuracy"]}
            schedule.on_epoch_end(number - 1, m | in_keras_words)
            listener.epoch(epoch)
            with averaged(inputs.trainer.optimizer):
                yield epoch, standing
    finally:
        schedule.on_train_end()


def _epoch(
    number: int, fit: _Fit, plan: Plan, inputs: Inputs, schedule: Any, listener: Listener
) -> tuple[Epoch, Standing]:
    start = time.perf_counter()
    callback = _step_callback(schedule, inputs.feed.steps, listener)
    loss, accuracy = fit(number, callback)
    seconds = time.perf_counter() - start
    rate = _applied_rate(inputs.trainer.optimizer)
    validation = inputs.validation
    with averaged(inputs.trainer.optimizer):
        standing = judge(inputs.forward(validation.inputs, plan.batch_size), validation.labels)
    if not np.isfinite([loss, standing.score.loss]).all():
        raise RunError(
            f'stage "{plan.stage.name}", epoch {number}: the loss is {loss}, on the validation '
            f"images {standing.score.loss}, at learning rate {rate:.1e}; a smaller "
            "learning_rate, a warm-up or clip_norm = 1.0 may help."
        )
    metrics = {
        "train_loss": loss,
        "train_accuracy": accuracy,
        "val_loss": standing.score.loss,
        "val_accuracy": standing.score.accuracy,
        "learning_rate": rate,
        "seconds": seconds,
        "images_per_second": inputs.feed.examples / seconds,
    }
    return Epoch(number, metrics), standing


def _step_callback(schedule: Any, steps: int, listener: Listener) -> Any:
    """Hands each step on to the schedule's callback and the listener; where the schedule is none,
    without waiting for the step."""
    import keras

    class Steps(keras.callbacks.Callback):
        async_safe = type(schedule) is keras.callbacks.Callback

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            schedule.on_epoch_begin(epoch)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            schedule.on_train_batch_begin(batch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            schedule.on_train_batch_end(batch)
            listener.step(batch + 1, steps)

    return Steps()


def _applied_rate(optimizer: Any) -> float:
    """The learning rate of the last step that was taken."""
    import keras
    from keras import ops

    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = inner._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(inner.iterations - 1)
    return float(ops.convert_to_numpy(rate))
