"""Compiles a model for a stage: its optimizer, schedule and loss."""

from typing import Any

from kerascnn.engine.network.build import HEAD, Built
from kerascnn.engine.training.inputs import FLOAT_BYTES
from kerascnn.engine.training.optimizers import make_optimizer
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.rate_callback import hold
from kerascnn.runtime.compilation import assert_finite, jit_compile, steps_in_one_call
from kerascnn.runtime.keras_internals import schedule_step

AT_ONCE = 64
"""Most steps in one call: about 0.1 s, during which no event is reported."""
STACK_BYTES = 16 * 2**20
"""The inputs of one call, at most."""
NOT_FINITE = "a loss that is not finite"
"""In the message of the TensorFlow error that ends such a call, before the steps taken."""


def compile_stage(
    network: Built, plan: Plan, trainer: Any, steps: int, *, one_by_one: bool = False
) -> Any:
    """Compiles for this stage with a new optimizer; returns its schedule as a callback.

    `steps` is per epoch; `one_by_one` runs each in its own call, and allows a loss that is not
    finite.
    """
    schedule = make_schedule(plan, steps)
    compile_trainer(network, plan, trainer, steps, schedule, one_by_one=one_by_one)
    return start(schedule, plan, trainer, steps)


def make_schedule(plan: Plan, steps: int) -> Any:
    """Builds a stage's schedule, and tries it; `steps` is per epoch."""
    import keras

    stage, total = plan.stage, steps * plan.stage.epochs
    schedule = plan.schedule(
        peak_learning_rate=stage.learning_rate, steps=total, steps_per_epoch=steps
    )
    if plan.schedule_of and not isinstance(schedule, keras.callbacks.Callback):
        with plan.schedule_of.blamed("at step 0"):
            schedule(keras.ops.convert_to_tensor(0, "int32"))
    return schedule


def compile_trainer(
    network: Built,
    plan: Plan,
    trainer: Any,
    steps: int,
    schedule: Any,
    *,
    one_by_one: bool = False,
) -> None:
    """Compiles for a stage with a new optimizer; see `compile_stage`."""
    import keras

    stage, total = plan.stage, steps * plan.stage.epochs
    is_callback = isinstance(schedule, keras.callbacks.Callback)
    at_once = 1 if is_callback or one_by_one else _steps_at_once(trainer, plan.batch_size, steps)
    optimizer = make_optimizer(
        stage.optimizer,
        stage.learning_rate if is_callback else schedule,
        weight_decay=stage.weight_decay,
        clip_norm=stage.clip_norm,
        factors=_factors(network, stage.layer_decay),
        ema_decay=1 - 1 / max(1.0, stage.ema_fraction * total) if stage.ema_fraction else None,
    )
    trainer.compile(
        optimizer,
        loss=_loss(trainer, plan, ends_the_call=at_once > 1),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile(),
        steps_per_execution=at_once,
    )
    trainer.optimizer.build(trainer.trainable_variables)
    if at_once > 1:
        trainer.train_function = steps_in_one_call(trainer)


def start(schedule: Any, plan: Plan, trainer: Any, steps: int) -> Any:
    """A schedule as a callback of the compiled trainer, at the start of training."""
    import keras

    is_callback = isinstance(schedule, keras.callbacks.Callback)
    callback = schedule if is_callback else keras.callbacks.Callback()
    callback.set_model(trainer)
    callback.set_params({"epochs": plan.stage.epochs, "steps": steps})
    if is_callback:
        hold(callback, trainer, plan.schedule_of)
    callback.on_train_begin()
    return callback


def _loss(trainer: Any, plan: Plan, *, ends_the_call: bool) -> Any:
    """The stage's loss; NaN as soon as a moving statistic is not finite.

    Only `call` of the stage's loss is used: Keras takes the mean over the batch, in float32. A
    training step uses the statistics of its batch and would not show it. If a call runs several
    steps, it ends at the first such loss.
    """
    import keras
    from keras import ops

    layers = [layer for layer in trainer.layers if layer.trainable]
    weights = [weight for layer in layers for weight in layer.non_trainable_weights]
    moved = [weight for weight in weights if keras.backend.is_float_dtype(weight.dtype)]
    of_image = (plan.loss or keras.losses.CategoricalCrossentropy()).call

    class Loss(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            sums = [ops.sum(ops.stop_gradient(weight.value)) for weight in moved]
            losses = of_image(y_true, y_pred)
            losses = losses + 0.0 * sum(sums)
            if ends_the_call:
                assert_finite(losses, NOT_FINITE, schedule_step(trainer.optimizer))
            return losses

    return Loss()


def _steps_at_once(trainer: Any, batch_size: int, steps: int) -> int:
    """Steps per call on TensorFlow: on cached features, a step is less work than the call."""
    import keras

    if keras.config.backend() != "tensorflow" or len(trainer.input_shape) > 2:
        return 1
    bytes_of_step = batch_size * trainer.input_shape[1] * FLOAT_BYTES
    return max(1, min(steps, AT_ONCE, STACK_BYTES // bytes_of_step))


def _factors(network: Built, layer_decay: float) -> dict[str, float]:
    """Learning-rate factors by variable path: `layer_decay` per block before the head."""
    if layer_decay == 1:
        return {}
    depth = {block: index for index, block in enumerate([HEAD, *reversed(network.blocks)])}
    return {
        variable.path: layer_decay ** depth[network.block_of[layer.name]]
        for layer in network.model.layers
        for variable in layer.trainable_variables
        if network.block_of[layer.name] != HEAD
    }
