"""The checks of a learning-rate schedule: its rate at each step, and in training."""

import json
from collections.abc import Iterator
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from kerascnn.hookspecs import kerascnn_schedules
from kerascnn.runtime.text import counted
from kerascnn.testing.checks import CheckError, SkipError, Subject, check
from kerascnn.testing.other_processes import on_other_backends

PEAK = 1e-3
STEPS, STEPS_PER_EPOCH = 100, 10
SHORT = ((1, 1), (2, 1), (7, 3))  # stages of few steps, where fractions round to 0
LONGER = 5  # times as long as a short stage
LIKE = 0.2  # of the change of the rate: an offset by one step differs by 0.8
WARMUP, FINAL = "warmup_fraction", "final_fraction"
CLOSE = 1e-5  # relative, plus a millionth of the peak: the float32 error of a few operations


class ScheduleSubject(Subject):
    """A schedule, built for a stage of 100 steps in 10 epochs."""

    kind = "schedule"

    def make(self) -> Any:
        return self.build(STEPS, STEPS_PER_EPOCH)

    def build(self, steps: int, steps_per_epoch: int) -> Any:
        lengths = {"steps": steps, "steps_per_epoch": steps_per_epoch}
        return self.bound.build(peak_learning_rate=PEAK, **lengths)

    def with_parameter(self, name: str, value: float) -> "ScheduleSubject":
        """The schedule with a parameter changed; raises SkipError if it has no such parameter."""
        if name not in type(self.bound.params).model_fields:
            raise SkipError(f"it has no parameter {name}")
        return self.with_params(**{name: value})

    @cached_property
    def is_callback(self) -> bool:
        import keras

        return isinstance(self.made, keras.callbacks.Callback)

    @cached_property
    def rates(self) -> np.ndarray:
        return self.built_for(STEPS, STEPS_PER_EPOCH)

    def built_for(self, steps: int, steps_per_epoch: int) -> np.ndarray:
        """Its rates in a stage of this length, float64 [steps]."""
        return rates_of(self.build(steps, steps_per_epoch), steps, steps_per_epoch)


def rates_of(built: Any, steps: int, steps_per_epoch: int) -> np.ndarray:
    """The rate at each step, float64 [steps]; a callback's with a constant validation loss."""
    import keras
    from keras import ops

    if not isinstance(built, keras.callbacks.Callback):
        rates = [built(ops.convert_to_tensor(step, "int32")) for step in range(steps)]
        return np.array([float(ops.convert_to_numpy(rate)) for rate in rates])
    return np.array(list(_called_back(built, steps, steps_per_epoch)))


def _called_back(callback: Any, steps: int, steps_per_epoch: int) -> Iterator[float]:
    """Calls a callback as a stage does; yields the rate at each step."""
    model = _tiny_model(PEAK)
    epochs = -(-steps // steps_per_epoch)
    callback.set_model(model)
    callback.set_params({"epochs": epochs, "steps": steps_per_epoch})
    callback.on_train_begin()
    for step in range(steps):
        epoch, batch = divmod(step, steps_per_epoch)
        if batch == 0:
            callback.on_epoch_begin(epoch)
        callback.on_train_batch_begin(batch)
        yield float(model.optimizer.learning_rate)
        callback.on_train_batch_end(batch)
        if batch == steps_per_epoch - 1 or step == steps - 1:
            callback.on_epoch_end(epoch, dict.fromkeys(("loss", "val_loss"), 1.0))
    callback.on_train_end()


def _tiny_model(rate: Any) -> Any:
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


@check(kerascnn_schedules)
def builds(subject: ScheduleSubject) -> str:
    """The builder returns a keras.optimizers.schedules.LearningRateSchedule or a
    keras.callbacks.Callback."""
    return type(subject.made).__name__


@check(kerascnn_schedules)
def finite_and_non_negative(subject: ScheduleSubject) -> str:
    """At every step of a stage, however short, the rate is finite and not negative."""
    for steps, steps_per_epoch in ((STEPS, STEPS_PER_EPOCH), *SHORT):
        rates = rates_of(subject.build(steps, steps_per_epoch), steps, steps_per_epoch)
        for step in np.flatnonzero(~(np.isfinite(rates) & (rates >= 0)))[:1]:
            raise CheckError(_at(step, rates, steps))
    return f"{subject.rates.min():.1e} to {subject.rates.max():.1e}"


@check(kerascnn_schedules)
def at_step_zero(subject: ScheduleSubject) -> str:
    """At step 0 the rate is above zero, so that the step is not wasted, and at most
    peak_learning_rate."""
    if not 0 < subject.rates[0] <= PEAK * (1 + CLOSE):
        raise CheckError(_at(0, subject.rates, STEPS))
    return f"{subject.rates[0]:.1e}"


@check(kerascnn_schedules)
def reaches_its_peak(subject: ScheduleSubject) -> str:
    """The highest rate of a stage is peak_learning_rate."""
    step = int(subject.rates.argmax())
    if abs(subject.rates[step] / PEAK - 1) > 0.01:
        raise CheckError(f"the highest is {_at(step, subject.rates, STEPS)}")
    return f"at step {step}"


@check(kerascnn_schedules)
def on_time(subject: ScheduleSubject) -> str:
    """From its peak on, a short stage has the rates of a long one at the same share of it: those
    of its own steps, not of steps before or after."""
    short, long = subject.built_for(STEPS // LONGER, STEPS_PER_EPOCH // LONGER), subject.rates
    peak = len(short) - 1 - int(short[::-1].argmax())
    moves = abs(np.diff(short[peak:]))
    if moves.sum() <= CLOSE * PEAK:
        raise SkipError("its rate is constant from its peak on")
    middle = peak + 1 + int(np.searchsorted(np.cumsum(moves), moves.sum() / 2))
    parts = slice(peak, middle), slice(middle, len(short))
    found = set.intersection(*(_offsets(short, long, part) for part in parts))
    if not found:
        raise SkipError("its rates at the same share of a stage depend on the stage's length")
    offset = min(found) if min(found) < 0 else max(found)
    off = f"{counted(abs(offset), 'step')} {'late' if offset < 0 else 'early'}"
    if offset not in (0, 1):  # a stage of N steps may divide its time by N, N - 1 or N + 1
        raise CheckError(f"in a stage of {len(short)} steps its rates are {off}")
    return f"in stages of {len(short)} and {len(long)} steps"


def _offsets(short: np.ndarray, long: np.ndarray, part: slice) -> set[int]:
    """By how many steps a part of a short stage may be ahead.

    If the rate at step k of N is f((k + a) / N), a stage M times as long has it at its step
    M k + (M - 1) a.
    """
    steps = np.arange(len(short))[part]
    moved = abs(np.diff(short[part.start : part.stop + 1])).sum()

    def distance(offset: int) -> float:
        there = np.clip(LONGER * steps + (LONGER - 1) * offset, 0, len(long) - 1)
        return float(abs(short[steps] - long[there]).sum())

    return {offset for offset in range(-2, 3) if distance(offset) <= LIKE * moved + CLOSE * PEAK}


@check(kerascnn_schedules)
def after_warm_up(subject: ScheduleSubject) -> str:
    """With warmup_fraction = 0.2 the rate rises at every step until it is peak_learning_rate at
    the end of the warm-up, step 20 of 100."""
    rates = subject.with_parameter(WARMUP, 0.2).rates
    end = STEPS // 5
    for step in np.flatnonzero(np.diff(rates[: end + 1]) <= 0)[:1]:
        raise CheckError(f"{rates[step]:.2e} at step {step}, and {rates[step + 1]:.2e} at the next")
    if abs(rates[end] / PEAK - 1) > 0.01:
        raise CheckError(_at(end, rates, STEPS))
    return f"{rates[0]:.1e} to {rates[end]:.1e}"


@check(kerascnn_schedules)
def at_the_last_step(subject: ScheduleSubject) -> str:
    """From step 1 to the last step, number steps - 1, the rate is above zero, so that no step is
    wasted, and at most peak_learning_rate."""
    rates = subject.rates[1:]
    for before in np.flatnonzero((rates <= 0) | (rates > PEAK * (1 + CLOSE)))[:1]:
        raise CheckError(_at(before + 1, subject.rates, STEPS))
    return f"{subject.rates[-1]:.1e}"


@check(kerascnn_schedules)
def ends_at_its_final_fraction(subject: ScheduleSubject) -> str:
    """With final_fraction = 0.25 a long stage ends at 0.25 times peak_learning_rate, within 1% of
    the peak."""
    steps = 10 * STEPS
    built = subject.with_parameter(FINAL, 0.25).build(steps, STEPS)
    last = rates_of(built, steps, STEPS)[-1] if subject.is_callback else float(built(steps - 1))
    if abs(last / PEAK - 0.25) > 0.01:
        raise CheckError(
            f"{last:.2e} at step {steps - 1} of {steps}, with peak_learning_rate = {PEAK}"
        )
    return f"{last:.1e}"


@check(kerascnn_schedules)
def serialises(subject: ScheduleSubject) -> None:
    """Keras serialises the schedule to JSON and restores one with the same rates."""
    from keras import saving

    if subject.is_callback:
        raise SkipError("Keras does not serialise callbacks")
    config = json.loads(json.dumps(saving.serialize_keras_object(subject.made)))
    again = rates_of(saving.deserialize_keras_object(config), STEPS, STEPS_PER_EPOCH)
    _same(again, subject.rates, "after restoring")


@check(kerascnn_schedules)
def applies_in_training(subject: ScheduleSubject) -> None:
    """A compiled training step uses the rate of its step: the schedule computes with keras.ops
    only, and never reads the step's value."""
    import keras

    steps, per_epoch = 6, 3
    built = subject.build(steps, per_epoch)
    model, applied = _tiny_model(PEAK if subject.is_callback else built), []

    class Note(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            applied.append(float(self.model.optimizer.learning_rate))  # syncs JAX's state

    x = np.ones((per_epoch, 1), "float32")
    callbacks = [built, Note()] if subject.is_callback else [Note()]
    model.fit(
        x, x, batch_size=1, epochs=steps // per_epoch, validation_data=(x, x), verbose=0,
        callbacks=callbacks,
    )  # fmt: skip
    if subject.is_callback:
        if not (np.isfinite(applied).all() and min(applied) >= 0):
            raise CheckError(f"rates {applied}")
        return
    _same(np.array(applied), rates_of(built, steps, per_epoch), "in training")


@check(kerascnn_schedules)
def same_on_all_backends(subject: ScheduleSubject) -> str:
    """The rates are the same on every backend."""
    elsewhere = on_other_backends(attrgetter("rates"), subject)
    for backend, rates in elsewhere.items():
        _same(rates, subject.rates, f"on {backend}")
    return ", ".join(elsewhere)


def _same(found: np.ndarray, rates: np.ndarray, where: str) -> None:
    for step in np.flatnonzero(abs(found - rates) > CLOSE * rates + 1e-6 * PEAK)[:1]:
        raise CheckError(f"{found[step]:.6e} {where} instead of {_at(step, rates, len(rates))}")


def _at(step: int, rates: np.ndarray, steps: int) -> str:
    return f"{rates[step]:.2e} at step {step} of {steps}, with peak_learning_rate = {PEAK}"
