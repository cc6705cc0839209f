"""Compiles a model for a stage: its optimizer, schedule and loss."""

from typing import Any

from kerascnn.engine.network.build import HEAD, Built
from kerascnn.engine.training.loss import smoothed
from kerascnn.engine.training.optimizers import make_optimizer
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.rate_callback import hold
from kerascnn.runtime.compilation import assert_finite, jit_compile
from kerascnn.runtime.keras_internals import schedule_step

AT_ONCE = 64
"""Most steps in one call: about 0.1 s, during which no event is reported."""
NOT_FINITE = "a loss that is not finite"
"""In the message of the TensorFlow error that ends such a call, before the steps taken."""


def compile_stage(
    network: Built, plan: Plan, trainer: Any, steps: int, *, one_by_one: bool = False
) -> Any:
    """Compiles for this stage with a new optimizer; returns its schedule as a callback.

    `steps` is per epoch; `one_by_one` runs each in its own call, and allows a loss that is not
    finite.
    """
    import keras

    stage, total = plan.stage, steps * plan.stage.epochs
    schedule = plan.schedule(
        peak_learning_rate=stage.learning_rate, steps=total, steps_per_epoch=steps
    )
    is_callback = isinstance(schedule, keras.callbacks.Callback)
    if plan.schedule_of and not is_callback:
        with plan.schedule_of.blamed("at step 0"):
            schedule(keras.ops.convert_to_tensor(0, "int32"))
    at_once = 1 if is_callback or one_by_one else _steps_at_once(trainer, steps)
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
    callback = schedule if is_callback else keras.callbacks.Callback()
    callback.set_model(trainer)
    callback.set_params({"epochs": stage.epochs, "steps": steps})
    if is_callback:
        hold(callback, trainer, plan.schedule_of)
    callback.on_train_begin()
    return callback


def _loss(trainer: Any, plan: Plan, *, ends_the_call: bool) -> Any:
    """The stage's loss of the smoothed labels; NaN as soon as a moving statistic is not finite.

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
            losses = of_image(smoothed(y_true, plan.stage.label_smoothing), y_pred)
            losses = losses + 0.0 * sum(sums)
            if ends_the_call:
                assert_finite(losses, NOT_FINITE, schedule_step(trainer.optimizer))
            return losses

    return Loss()


def _steps_at_once(trainer: Any, steps: int) -> int:
    """Steps per call on TensorFlow: on cached features, a step is less work than the call.

    A divisor of the steps per epoch, because a call always runs all of its steps.
    """
    import keras

    if keras.config.backend() != "tensorflow" or len(trainer.input_shape) > 2:
        return 1
    return max(count for count in range(1, min(steps, AT_ONCE) + 1) if steps % count == 0)


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
