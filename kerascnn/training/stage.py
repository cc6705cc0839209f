"""One stage: set what trains, cut at the boundary, fit epoch by epoch, prove the freeze."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kerascnn.config import Stage
from kerascnn.data.batches import Augment, Batch, Feed
from kerascnn.errors import RunError
from kerascnn.network.boundary import Cut, cut
from kerascnn.network.build import HEAD, Built
from kerascnn.network.freezing import (
    check_frozen,
    check_optimizer,
    digest,
    frozen_variables,
    set_trainable,
    trainable_layers,
)
from kerascnn.network.inference import Forward
from kerascnn.runtime import jit_compile
from kerascnn.training.optimizers import make_optimizer

ACTIVATION_BYTES = 2 * 2**30
"""Activations up to this size are kept in memory; beyond it the prefix runs with every step."""

LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Examples:
    """Arrays to judge by: inputs [N, ...] and labels int64 [N]."""

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Score:
    """How the weights do on the validation images; greater is better."""

    accuracy: float
    loss: float

    def beats(self, other: "Score | None") -> bool:
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


@dataclass(frozen=True)
class Standing:
    """A score and, for each validation image, whether it was right: bool [N]."""

    score: Score
    correct: np.ndarray


@dataclass(frozen=True)
class Epoch:
    """One epoch's number, from 1 within its stage, and its metrics."""

    number: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Listener:
    """Who wants to hear how a stage goes: the prefix's images, the steps, the epochs."""

    prefix: Callable[[int, int], None] = lambda done, total: None
    step: Callable[[int, int], None] = lambda done, total: None
    epoch: Callable[[Epoch], None] = lambda epoch: None


@dataclass(frozen=True)
class Plan:
    """A stage with its parts resolved, ready to fit.

    Args:
        stage: Its settings.
        index: Its place, from 0.
        layers: Names of the layers that train.
        batchnorm: "frozen" or "train".
        batch_size: Images a step.
        schedule: `schedule(peak_learning_rate=, steps=, steps_per_epoch=)`.
        augment: Changes each batch; None where the images are used as they are.
        class_weights: float32 [K], or None.
        seed: The experiment's.
        keep: "best" or "last".
        choice: What trains, in words.
    """

    stage: Stage
    index: int
    layers: frozenset[str]
    batchnorm: str
    batch_size: int
    schedule: Callable[..., Any]
    augment: Augment | None = None
    class_weights: np.ndarray | None = None
    seed: int = 0
    keep: str = "best"
    choice: str = ""


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Args:
        choice: What trained, in words.
        standing: On the validation images, with the weights that the stage hands on.
        own: The same with the stage's own best epoch (with `keep="last"`, its last).
        before: The same with the weights that the stage started from; None for the first stage.
        kept: False where the weights from before the stage were better and are handed on.
        prefix_seconds: Running the frozen prefix once over all images; None if it ran each step.
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
    prefix_seconds: float | None
    frozen_sha256: str
    history: list[Epoch] = field(repr=False)


def fit_stage(
    network: Built,
    plan: Plan,
    train: Examples,
    validation: Examples,
    before: Standing | None = None,
    listener: Listener = Listener(),
) -> StageResult:
    """Trains one stage on the network in place.

    Args:
        network: The network; its weights are changed, those that the plan freezes provably not.
        plan: The stage.
        train: Images uint8 [N, S, S, 3].
        validation: The same, never augmented.
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
    once = _runs_once(parts, plan, train, validation)
    if once:
        trainer = parts.suffix
        feed, validation = _at_boundary(parts, plan, train, validation, listener)
    else:
        trainer = parts.whole()
        feed = _feed(plan, train.inputs[None], _one_hot(train, model)[None])
    prefix_seconds = time.perf_counter() - start if once else None
    history, handed_on, own = _fit(network, plan, trainer, feed, validation, before, listener)
    check_optimizer(trainer.optimizer, model, name)
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
        prefix_seconds=prefix_seconds,
        frozen_sha256=frozen_before,
        history=history,
    )


def count_trainable(model: Any) -> int:
    """The number of weights that train."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def _runs_once(parts: Cut, plan: Plan, train: Examples, validation: Examples) -> bool:
    """Whether the prefix runs once per image, or per view of it, instead of with every step."""
    if parts.prefix is None or (plan.augment and not plan.stage.views):
        return False
    examples = len(train) * _views(plan) + len(validation)
    numbers = examples * int(np.prod(parts.suffix.input_shape[1:]))
    return numbers * np.dtype(np.float32).itemsize <= ACTIVATION_BYTES


def _views(plan: Plan) -> int:
    return (plan.stage.views or 1) if plan.augment else 1


def _at_boundary(
    parts: Cut, plan: Plan, train: Examples, validation: Examples, listener: Listener
) -> tuple[Feed, Examples]:
    """Runs the frozen prefix once over all images, or over each of their augmented views."""
    forward = Forward(parts.prefix)
    views, total = _views(plan), len(train) * _views(plan) + len(validation)
    targets = np.repeat(_one_hot(train, parts.suffix)[None], views, axis=0)  # [V, N, K]
    inputs = np.empty((views, len(train), *parts.suffix.input_shape[1:]), np.float32)
    done = 0
    for view in range(views):
        # shuffled, for a batch's pictures may be mixed with each other
        order = np.random.default_rng([plan.seed, plan.index, view]).permutation(len(train))
        for step, start in enumerate(range(0, len(train), plan.batch_size)):
            batch = np.sort(order[start : start + plan.batch_size])
            images, wanted = train.inputs[batch], targets[view, batch]
            if plan.augment:
                images, targets[view, batch] = map(
                    _to_numpy, plan.augment(images, wanted, view, step)
                )
            inputs[view, batch] = forward(images, plan.batch_size)
            done += len(images)
            listener.prefix(done, total)
    judged = forward(
        validation.inputs, plan.batch_size, lambda n, _: listener.prefix(done + n, total)
    )
    feed = _feed(replace(plan, augment=None), inputs, targets)
    return feed, Examples(judged, validation.labels)


def _one_hot(examples: Examples, model: Any) -> np.ndarray:
    return np.eye(model.output_shape[-1], dtype=np.float32)[examples.labels]  # [N, K]


def _feed(plan: Plan, inputs: np.ndarray, targets: np.ndarray) -> Feed:
    return Feed(
        inputs,
        targets,
        batch_size=plan.batch_size,
        seed=(plan.seed, plan.index),
        augment=plan.augment,
        class_weights=plan.class_weights,
    )


def _fit(
    network: Built,
    plan: Plan,
    trainer: Any,
    feed: Feed,
    validation: Examples,
    before: Standing | None,
    listener: Listener,
) -> tuple[list[Epoch], Standing, Standing]:
    """Fits all epochs; returns the history, the standing handed on and the stage's own."""
    schedule = _compile(network, plan, trainer, feed.steps)
    forward = Forward(trainer)
    changing = [v for layer in network.model.layers if layer.trainable for v in layer.weights]
    snapshot = [_to_numpy(variable.value) for variable in changing]
    history: list[Epoch] = []
    best = before if plan.keep == "best" else None
    own: Standing | None = None
    for epoch, standing in _epochs(plan, trainer, forward, feed, validation, schedule, listener):
        history.append(epoch)
        if own is None or plan.keep == "last" or standing.score.beats(own.score):
            own = standing
        if plan.keep == "last" or best is None or standing.score.beats(best.score):
            best, snapshot = standing, [_to_numpy(variable.value) for variable in changing]
        if _stops_early(plan.stage, history):
            break
    schedule.on_train_end()
    for variable, value in zip(changing, snapshot, strict=True):
        variable.assign(value)
    assert best  # a stage has at least one epoch
    assert own
    return history, best, own


def _to_numpy(tensor: Any) -> np.ndarray:
    from keras import ops

    return np.array(ops.convert_to_numpy(tensor))


def _compile(network: Built, plan: Plan, trainer: Any, steps: int) -> Any:
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


def _epochs(
    plan: Plan,
    trainer: Any,
    forward: Forward,
    feed: Feed,
    validation: Examples,
    schedule: Any,
    listener: Listener,
) -> Iterator[tuple[Epoch, Standing]]:
    for number in range(1, plan.stage.epochs + 1):
        start = time.perf_counter()
        callback = _step_callback(schedule, feed.steps, listener)
        loss, accuracy = _train(trainer, feed, number, callback)
        seconds = time.perf_counter() - start
        rate = _applied_rate(trainer.optimizer)
        standing = judge(forward(validation.inputs, plan.batch_size), validation.labels)
        if not np.isfinite([loss, standing.score.loss]).all():
            raise RunError(
                f'stage "{plan.stage.name}", epoch {number}: the loss is {loss}, on the validation '
                f"images {standing.score.loss}, at learning rate {rate:.1e}; a smaller "
                "learning_rate, a warm-up or clip_norm = 1.0 may help."
            )
        epoch = Epoch(
            number,
            {
                "train_loss": loss,
                "train_accuracy": accuracy,
                "val_loss": standing.score.loss,
                "val_accuracy": standing.score.accuracy,
                "learning_rate": rate,
                "seconds": seconds,
                "images_per_second": feed.examples / seconds,
            },
        )
        in_keras_words = {"loss": loss, "accuracy": accuracy}
        schedule.on_epoch_end(number - 1, in_keras_words | epoch.metrics)
        listener.epoch(epoch)
        yield epoch, standing


def _train(trainer: Any, feed: Feed, epoch: int, callback: Any) -> tuple[float, float]:
    """Trains one epoch; returns its loss and accuracy."""
    faults: list[Exception] = []
    try:
        logs = trainer.fit(
            _noting(feed.epoch(epoch), faults),
            epochs=epoch,
            initial_epoch=epoch - 1,
            steps_per_epoch=feed.steps,
            shuffle=False,
            verbose=0,
            callbacks=[callback],
        ).history
    except Exception:
        if faults:
            raise faults[0] from None
        raise
    return float(logs["loss"][0]), float(logs["accuracy"][0])


def _noting(batches: Iterator[Batch], faults: list[Exception]) -> Iterator[Batch]:
    """Notes what a batch could not be made for; TensorFlow buries it in a fault of its own."""
    try:
        yield from batches
    except Exception as fault:
        faults.append(fault)
        raise


def judge(probabilities: np.ndarray, labels: np.ndarray) -> Standing:
    """Scores probabilities [N, K] by labels [N]: accuracy and mean cross-entropy."""
    of_label = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.clip(of_label, LEAST_PROBABILITY, 1)).mean())
    correct = probabilities.argmax(1) == labels
    return Standing(Score(float(correct.mean()), loss), correct)


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


def _stops_early(stage: Stage, history: list[Epoch]) -> bool:
    if stage.early_stopping is None:
        return False
    monitor, patience = stage.early_stopping.monitor, stage.early_stopping.patience
    sign = 1 if monitor == "val_accuracy" else -1
    values = [sign * epoch.metrics[monitor] for epoch in history]
    return len(values) - 1 - int(np.argmax(values)) >= patience
