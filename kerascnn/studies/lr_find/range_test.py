"""What a learning-rate range test found."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerascnn.runtime.screen import screen

DIVERGED = 4.0
"""The test ends where the smoothed loss is so many times the least that it has been."""
SIGMA = 3
"""Of the Gaussian that smooths the losses, in steps. It is centred, for an average of what is past
lags behind, and moves what is found to greater rates."""
TENFOLD = 12
"""Steps in which the rate grows tenfold."""
FALLS = 0.9
"""A loss that falls to no less than this share of what it was up to 1e-6 tells nothing."""
MANY_PASSES = 3
"""Passes over the images after which a low loss shows what was memorised. On folders of 60 to 200
photographs, where the test makes 17 to 50 passes, following it was never better: see
benchmarks/README.md."""


@dataclass(frozen=True)
class RangeTest:
    """The losses of a stage's first steps, each at a greater learning rate than the one before.

    Args:
        stage: Its name.
        configured: The learning rate that the stage says.
        rates: The learning rate of each step.
        losses: Of each step's batch.
        smoothed: The losses, smoothed.
        diverged: Whether the test ended because the loss had grown too far.
        passes: How often the steps went over the images.
    """

    stage: str
    configured: float
    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    diverged: bool
    passes: float

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss is least."""
        return self.rates[int(np.argmin(self.smoothed))]

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate of the least loss; None where that says nothing, see `why_none`.

        Where the loss is least it no longer falls, so that rate is too great already. The other
        custom, the rate at which it falls fastest, is less sure: noise has steeper slopes.
        """
        return None if self.why_none else self.lowest / 10

    @property
    def why_none(self) -> str:
        """Why no rate is suggested; "" where one is."""
        if self.passes > MANY_PASSES:
            return (
                f"there are too few images: the test went over them {self.passes:.0f} times, and "
                "a low loss then shows what was memorised"
            )
        falls = min(self.smoothed) < FALLS * np.mean(self.losses[:TENFOLD])
        if not falls or np.argmin(self.smoothed) < TENFOLD:
            return "the loss hardly falls at any rate, as where a stage begins with little to gain"
        return ""

    @property
    def setting(self) -> str | None:
        """The suggestion as `--set` takes it."""
        if self.suggestion is None:
            return None
        return f"stages.{self.stage}.learning_rate={self.suggestion:.1e}"

    def __repr__(self) -> str:
        rows = [
            ("suggestion", self.setting or f"none: {self.why_none}"),
            ("configured", f"{self.configured:.1e}"),
            ("least loss", f"{min(self.smoothed):.3f} at {self.lowest:.1e}"),
            ("steps", f"{len(self.rates):,}{', then the loss diverged' if self.diverged else ''}"),
        ]
        return screen(f'learning rates of stage "{self.stage}"', rows)

    def to_json(self) -> dict[str, Any]:
        names = ("lowest", "suggestion", "why_none", "setting")
        return asdict(self) | {name: getattr(self, name) for name in names}


def has_diverged(losses: list[float]) -> bool:
    """Judged some steps back, where a single batch no longer decides."""
    smoothed = smooth(losses)
    return len(losses) > SIGMA and smoothed[-1 - SIGMA] > DIVERGED * smoothed.min()


def smooth(losses: list[float]) -> np.ndarray:
    """Smooths losses [N], each by its neighbours on both sides."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.array(losses), SIGMA, mode="nearest")
