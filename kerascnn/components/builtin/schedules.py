"""Learning-rate schedules: shapes over the steps of a stage, most with an optional warm-up.

Rates are fractions of the stage's `learning_rate`, the peak. The warm-up is a fraction of the
stage; every other length is a fraction of what follows it, or a number of epochs.
"""

from functools import partial
from typing import Annotated, Any

from pydantic import Field

from kerascnn import Component, Params, hookimpl


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


SHAPES = {
    "constant": (Warmup, "the peak rate throughout"),
    "cosine": (Decay, "cosine decay (Loshchilov & Hutter, arXiv 1608.03983)"),
    "cosine_restarts": (Restarts, "cosine decay with restarts (SGDR, arXiv 1608.03983)"),
    "one_cycle": (OneCycle, "cosine up, then further down (Smith, arXiv 1708.07120; as in fastai)"),
    "step": (Step, "a drop every few epochs"),
    "multistep": (Multistep, "drops at milestones (the defaults: BiT, arXiv 1912.11370)"),
    "exponential": (Exponential, "exponential decay"),
    "polynomial": (Polynomial, "polynomial decay; linear by default"),
    "inverse_sqrt": (InverseSqrt, "inverse square root (arXiv 1706.03762, 2106.04560)"),
    "flat_cosine": (FlatCosine, "flat, then cosine decay (as in fastai)"),
    "warmup_stable_decay": (
        WarmupStableDecay,
        "warm-up, flat, then linear decay (arXiv 2405.18392)",
    ),
    "plateau": (Plateau, "a drop when the validation loss stops improving"),
}


def build(name: str, params: Params, **stage: Any) -> Any:
    from kerascnn.components.builtin import learning_rates

    return learning_rates.build(name, params, **stage)


@hookimpl
def kerascnn_schedules() -> list[Component]:
    return [
        Component(name, partial(build, name), params, summary)
        for name, (params, summary) in SHAPES.items()
    ]
