"""The shapes of learning-rate schedules, joined from Keras's own and two that it lacks.

Each takes its parameters, the peak rate, its number of steps and the steps per epoch.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops
from keras.optimizers import schedules
from keras.optimizers.schedules import LearningRateSchedule


@keras.saving.register_keras_serializable(package="kerascnn")
class Joined(LearningRateSchedule):
    """Schedules one after the other, each counting steps from its own beginning.

    Args:
        schedules: The schedules, in order; at least one.
        boundaries: For each schedule after the first, the step at which it begins, ascending.
    """

    def __init__(self, schedules: Sequence[LearningRateSchedule], boundaries: Sequence[int]):
        self.schedules = list(schedules)
        self.boundaries = list(boundaries)

    def __call__(self, step: Any) -> Any:
        step = ops.convert_to_tensor(step)
        rate = self.schedules[0](step)
        for start, schedule in zip(self.boundaries, self.schedules[1:], strict=True):
            rate = ops.where(step < start, rate, schedule(ops.maximum(step - start, 0)))
        return rate

    def get_config(self) -> dict[str, Any]:
        schedules = [keras.saving.serialize_keras_object(s) for s in self.schedules]
        return {"schedules": schedules, "boundaries": self.boundaries}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Joined":
        schedules = [keras.saving.deserialize_keras_object(s) for s in config["schedules"]]
        return cls(schedules, config["boundaries"])


@keras.saving.register_keras_serializable(package="kerascnn")
class InverseSquareRoot(LearningRateSchedule):
    """`peak / sqrt(1 + step / timescale)` (Vaswani et al., arXiv 1706.03762; Zhai et al.,
    arXiv 2106.04560).

    Args:
        peak_learning_rate: The rate at step 0.
        timescale: Steps, above 0; after three times as many, the rate has halved.
    """

    def __init__(self, peak_learning_rate: float, timescale: float):
        self.peak_learning_rate = peak_learning_rate
        self.timescale = timescale

    def __call__(self, step: Any) -> Any:
        age = ops.cast(step, "float32") / self.timescale
        return self.peak_learning_rate / ops.sqrt(1 + age)

    def get_config(self) -> dict[str, Any]:
        return {"peak_learning_rate": self.peak_learning_rate, "timescale": self.timescale}


def constant(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    return _line(peak, peak, 1)


def cosine(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    return _cosine(peak, peak * params.final_fraction, steps)


def cosine_restarts(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    """Joins whole cycles that end with the stage; Keras's CosineDecayRestarts begins another."""
    weights = [params.length_factor**i for i in range(params.cycles)]
    shares = (steps * weight / sum(weights) for weight in accumulate(weights))
    starts = [0, *map(_after_the_first, shares)]
    tops = [peak * params.peak_factor**i for i in range(params.cycles)]
    cycles = [
        _cosine(top, top * params.final_fraction, end - start)
        for top, start, end in zip(tops, starts[:-1], starts[1:], strict=True)
    ]
    return Joined(cycles, starts[1:-1])


def one_cycle(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    rise = _part(params.rise_fraction, steps)
    up = _cosine(peak * params.start_fraction, peak, rise)
    return Joined([up, _cosine(peak, peak * params.final_fraction, steps - rise)], [rise])


def step(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    every = params.every_epochs * epoch
    return _stairs(peak, params.factor, range(every, steps, every))


def multistep(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    drops = [_after_the_first(m * steps) for m in sorted(params.milestones)]
    return _stairs(peak, params.factor, drops)


def exponential(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    return schedules.ExponentialDecay(peak, steps, params.final_fraction)


def polynomial(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    return _line(peak, peak * params.final_fraction, steps, params.power)


def inverse_sqrt(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    return InverseSquareRoot(peak, params.timescale_fraction * steps)


def flat_cosine(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    return _flat_until(_cosine, params, peak, steps)


def warmup_stable_decay(params: Any, peak: float, steps: int, epoch: int) -> LearningRateSchedule:
    return _flat_until(_line, params, peak, steps)


def plateau(params: Any, peak: float, steps: int, epoch: int) -> keras.callbacks.Callback:
    """A callback that lowers the rate when the validation loss stops improving."""
    return keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        factor=params.factor,
        patience=params.patience_epochs,
        min_lr=peak * params.minimum_fraction,
    )


def _line(start: float, end: float, steps: int, power: float = 1.0) -> LearningRateSchedule:
    return schedules.PolynomialDecay(start, max(steps, 1), end, power)


def _cosine(start: float, end: float, steps: int) -> LearningRateSchedule:
    return schedules.CosineDecay(start, max(steps, 1), alpha=end / start)


def _stairs(peak: float, factor: float, drops: Sequence[int]) -> LearningRateSchedule:
    rates = [peak * factor**i for i in range(len(drops) + 1)]
    if not drops:
        return _line(peak, peak, 1)
    ends = [drop - 1 for drop in drops]  # Keras drops one step late
    return schedules.PiecewiseConstantDecay(ends, rates)


def _flat_until(
    fall: Callable[..., LearningRateSchedule], params: Any, peak: float, steps: int
) -> LearningRateSchedule:
    length = round(params.decay_fraction * steps)
    tail = fall(peak, peak * params.final_fraction, length)
    return Joined([_line(peak, peak, 1), tail], [steps - length])


def _after_the_first(place: float) -> int:
    """The nearest step, but not the first, which keeps its rate however short the stage."""
    return max(round(place), 1)


def _part(fraction: float, steps: int) -> int:
    """A fraction of the steps, leaving at least one."""
    return min(round(fraction * steps), steps - 1)


SHAPES = {
    shape.__name__: shape
    for shape in (
        *(constant, cosine, cosine_restarts, one_cycle, step, multistep, exponential, polynomial),
        *(inverse_sqrt, flat_cosine, warmup_stable_decay, plateau),
    )
}


def build(
    name: str, params: Any, *, peak_learning_rate: float, steps: int, steps_per_epoch: int
) -> Any:
    """Builds a shape after a linear warm-up, if it has one (Goyal et al., arXiv 1706.02677)."""
    rise = _part(getattr(params, "warmup_fraction", 0), steps)
    schedule = SHAPES[name](params, peak_learning_rate, steps - rise, steps_per_epoch)
    if rise == 0:
        return schedule
    first = peak_learning_rate / (rise + 1)  # above 0, which would waste a step
    return Joined([_line(first, peak_learning_rate, rise), schedule], [rise])
