"""Learning-rate schedules: shapes over the steps of a stage, most with an optional warm-up.

Rates are fractions of the stage's `learning_rate`, the peak. The warm-up is a fraction of the
stage; every other length is a fraction of what follows it, or a number of epochs.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from kerascnn import Component, Params, hookimpl

if TYPE_CHECKING:
    from keras.callbacks import Callback
    from keras.optimizers.schedules import LearningRateSchedule


class Warmup(Params):
    warmup_fraction: float = Field(
        0.0, ge=0, lt=1, description="Fraction of the stage in which the rate rises to its peak."
    )


class Decay(Warmup):
    final_fraction: float = Field(
        0.0, ge=0, le=1, description="Rate at the end of the stage, as a fraction of the peak."
    )


class Restarts(Decay):
    cycles: int = Field(3, ge=1, le=100, description="Number of cycles.")
    length_factor: float = Field(
        2.0, gt=0, le=10, description="Length of a cycle relative to the previous one."
    )
    peak_factor: float = Field(
        1.0, gt=0, le=1, description="Peak of a cycle relative to the previous one."
    )


class OneCycle(Params):
    rise_fraction: float = Field(
        0.3, ge=0, lt=1, description="Fraction of the stage in which the rate rises."
    )
    start_fraction: float = Field(
        0.04, gt=0, le=1, description="Rate at the start, as a fraction of the peak."
    )
    final_fraction: float = Field(
        1e-5, ge=0, le=1, description="Rate at the end, as a fraction of the peak."
    )


class Step(Warmup):
    every_epochs: int = Field(2, ge=1, description="Epochs between drops.")
    factor: float = Field(0.5, gt=0, lt=1, description="Factor of the rate at each drop.")


class Multistep(Warmup):
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.4, 0.6, 0.8), description="Positions of the drops, as fractions."
    )
    factor: float = Field(0.1, gt=0, lt=1, description="Factor of the rate at each drop.")


class Exponential(Warmup):
    final_fraction: float = Field(
        0.01, gt=0, le=1, description="Rate at the end of the stage, as a fraction of the peak."
    )


class Polynomial(Decay):
    power: float = Field(1.0, gt=0, le=10, description="Exponent of the decay; 1 is linear.")


class InverseSqrt(Warmup):
    timescale_fraction: float = Field(
        0.1, gt=0, le=1, description="Fraction in which the rate falls to 1 / sqrt(2) of the peak."
    )


class FlatCosine(Decay):
    decay_fraction: float = Field(
        0.25, gt=0, le=1, description="Fraction at the end in which the rate falls."
    )


class WarmupStableDecay(Decay):
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="Fraction of the stage in which the rate rises to its peak."
    )
    decay_fraction: float = Field(
        0.2, gt=0, le=1, description="Fraction at the end in which the rate falls."
    )


class Plateau(Params):
    factor: float = Field(0.1, gt=0, lt=1, description="Factor of the rate at each drop.")
    patience_epochs: int = Field(
        2, ge=1, description="Epochs without a better validation loss before a drop."
    )
    minimum_fraction: float = Field(
        1e-3, ge=0, le=1, description="Lowest rate, as a fraction of the peak."
    )


# Each shape takes its parameters, the peak rate, its number of steps and the steps per epoch.


def constant(params: Warmup, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    return _line(peak, peak, 1)


def cosine(params: Decay, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    return _cosine(peak, peak * params.final_fraction, steps)


def cosine_restarts(
    params: Restarts, peak: float, steps: int, epoch: int
) -> "LearningRateSchedule":
    """Joins whole cycles that end with the stage; Keras's CosineDecayRestarts begins another."""
    weights = [params.length_factor**i for i in range(params.cycles)]
    shares = (steps * weight / sum(weights) for weight in accumulate(weights))
    starts = [0, *map(_after_the_first, shares)]
    tops = [peak * params.peak_factor**i for i in range(params.cycles)]
    cycles = [
        _cosine(top, top * params.final_fraction, end - start)
        for top, start, end in zip(tops, starts[:-1], starts[1:], strict=True)
    ]
    return _joined(cycles, starts[1:-1])


def one_cycle(params: OneCycle, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    rise = _part(params.rise_fraction, steps)
    up = _cosine(peak * params.start_fraction, peak, rise)
    return _joined([up, _cosine(peak, peak * params.final_fraction, steps - rise)], [rise])


def step(params: Step, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    every = params.every_epochs * epoch
    return _stairs(peak, params.factor, range(every, steps, every))


def multistep(params: Multistep, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    drops = [_after_the_first(m * steps) for m in sorted(params.milestones)]
    return _stairs(peak, params.factor, drops)


def exponential(params: Exponential, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    from keras.optimizers.schedules import ExponentialDecay

    return ExponentialDecay(peak, steps, params.final_fraction)


def polynomial(params: Polynomial, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    return _line(peak, peak * params.final_fraction, steps, params.power)


def inverse_sqrt(
    params: InverseSqrt, peak: float, steps: int, epoch: int
) -> "LearningRateSchedule":
    from kerascnn.components.builtin.learning_rates import InverseSquareRoot

    return InverseSquareRoot(peak, params.timescale_fraction * steps)


def flat_cosine(params: FlatCosine, peak: float, steps: int, epoch: int) -> "LearningRateSchedule":
    return _flat_until(_cosine, params, peak, steps)


def warmup_stable_decay(
    params: WarmupStableDecay, peak: float, steps: int, epoch: int
) -> "LearningRateSchedule":
    return _flat_until(_line, params, peak, steps)


def plateau(
    params: Plateau, *, peak_learning_rate: float, steps: int, steps_per_epoch: int
) -> "Callback":
    """Makes a callback that lowers the rate when the validation loss stops improving."""
    from keras.callbacks import ReduceLROnPlateau

    return ReduceLROnPlateau(
        monitor="val_loss",
        factor=params.factor,
        patience=params.patience_epochs,
        min_lr=peak_learning_rate * params.minimum_fraction,
    )


def _line(start: float, end: float, steps: int, power: float = 1.0) -> "LearningRateSchedule":
    from keras.optimizers.schedules import PolynomialDecay

    return PolynomialDecay(start, max(steps, 1), end, power)


def _cosine(start: float, end: float, steps: int) -> "LearningRateSchedule":
    from keras.optimizers.schedules import CosineDecay

    return CosineDecay(start, max(steps, 1), alpha=end / start)


def _stairs(peak: float, factor: float, drops: Sequence[int]) -> "LearningRateSchedule":
    from keras.optimizers.schedules import PiecewiseConstantDecay

    rates = [peak * factor**i for i in range(len(drops) + 1)]
    if not drops:
        return _line(peak, peak, 1)
    return PiecewiseConstantDecay([drop - 1 for drop in drops], rates)  # Keras drops one step late


def _joined(
    schedules: "Sequence[LearningRateSchedule]", boundaries: Sequence[int]
) -> "LearningRateSchedule":
    from kerascnn.components.builtin.learning_rates import Joined

    return Joined(schedules, boundaries)


def _flat_until(
    fall: Callable[..., "LearningRateSchedule"],
    params: FlatCosine | WarmupStableDecay,
    peak: float,
    steps: int,
) -> "LearningRateSchedule":
    length = round(params.decay_fraction * steps)
    tail = fall(peak, peak * params.final_fraction, length)
    return _joined([_line(peak, peak, 1), tail], [steps - length])


def _after_the_first(place: float) -> int:
    """The nearest step, but not the first, which keeps its rate however short the stage."""
    return max(round(place), 1)


def _part(fraction: float, steps: int) -> int:
    """A fraction of the steps, leaving at least one."""
    return min(round(fraction * steps), steps - 1)


def _with_warmup(shape: Callable[..., "LearningRateSchedule"]) -> Callable[..., Any]:
    """Puts a linear warm-up before a shape (Goyal et al., arXiv 1706.02677)."""

    def build(
        params: Any, *, peak_learning_rate: float, steps: int, steps_per_epoch: int
    ) -> "LearningRateSchedule":
        rise = _part(getattr(params, "warmup_fraction", 0), steps)
        schedule = shape(params, peak_learning_rate, steps - rise, steps_per_epoch)
        if rise == 0:
            return schedule
        first = peak_learning_rate / (rise + 1)  # above 0, which would waste a step
        return _joined([_line(first, peak_learning_rate, rise), schedule], [rise])

    return build


SHAPES = [
    (constant, Warmup, "the peak rate throughout"),
    (cosine, Decay, "cosine decay (Loshchilov & Hutter, arXiv 1608.03983)"),
    (cosine_restarts, Restarts, "cosine decay with restarts (SGDR, arXiv 1608.03983)"),
    (one_cycle, OneCycle, "cosine up, then further down (Smith, arXiv 1708.07120; as in fastai)"),
    (step, Step, "a drop every few epochs"),
    (multistep, Multistep, "drops at milestones (the defaults: BiT, arXiv 1912.11370)"),
    (exponential, Exponential, "exponential decay"),
    (polynomial, Polynomial, "polynomial decay; linear by default"),
    (inverse_sqrt, InverseSqrt, "inverse square root (arXiv 1706.03762, 2106.04560)"),
    (flat_cosine, FlatCosine, "flat, then cosine decay (as in fastai)"),
    (warmup_stable_decay, WarmupStableDecay, "warm-up, flat, then linear decay (arXiv 2405.18392)"),
]


@hookimpl
def kerascnn_schedules() -> list[Component]:
    return [
        *(Component(s.__name__, _with_warmup(s), params, summary) for s, params, summary in SHAPES),
        Component("plateau", plateau, Plateau, "a drop when the validation loss stops improving"),
    ]
