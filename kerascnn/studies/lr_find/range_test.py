"""The result of a learning-rate range test."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerascnn.runtime.screen import screen

DIVERGED = 4.0
"""The test ends when the smoothed loss exceeds this multiple of its minimum."""
SIGMA = 3
"""Of the Gaussian that smooths the losses, in steps. It is centred: an average of past losses lags
behind and would shift the result to higher rates."""
TENFOLD = 12
"""Steps per tenfold increase of the rate."""
FALLS = 0.9
"""If the loss never falls below this share of its value up to 1e-6, no rate is suggested."""
MANY_PASSES = 3
"""With more passes over the images, a low loss shows memorisation. On folders of 60 to 200
photographs, where the test makes 17 to 50 passes, following it never helped: see
benchmarks/README.md."""


@dataclass(frozen=True)
class RangeTest:
    """The losses of a stage's first steps at rising learning rates.

    Args:
        stage: Its name.
        configured: The learning rate in the experiment.
        rates: The learning rate of each step.
        losses: The loss of each step's batch.
        smoothed: The losses, smoothed.
        diverged: Whether the test ended early because the loss diverged.
        passes: Passes over the training images.
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
        return self.rates[int(np.argmin(self.smoothed))]

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate with the lowest loss; None if that is unreliable, see `why_none`.

        At its minimum the loss no longer falls, so that rate is already too high. The other common
        choice, the rate of the steepest descent, is less reliable: noise has steeper slopes.
        """
        return None if self.why_none else self.lowest / 10

    @property
    def why_none(self) -> str:
        """Why no rate is suggested; "" if one is."""
        if self.passes > MANY_PASSES:
            return (
                f"there are too few images: the test made {self.passes:.0f} passes over them, so a "
                "low loss shows memorisation"
            )
        falls = min(self.smoothed) < FALLS * np.mean(self.losses[:TENFOLD])
        if not falls or np.argmin(self.smoothed) < TENFOLD:
            return "the loss hardly falls at any rate: the stage may start near its optimum"
        return ""

    @property
    def setting(self) -> str | None:
        """The suggestion as an argument of `--set`."""
        if self.suggestion is None:
            return None
        return f"stages.{self.stage}.learning_rate={self.suggestion:.1e}"

    def __repr__(self) -> str:
        rows = [
            ("suggestion", self.setting or f"none: {self.why_none}"),
            ("configured", f"{self.configured:.1e}"),
            ("lowest loss", f"{min(self.smoothed):.3f} at {self.lowest:.1e}"),
            ("steps", f"{len(self.rates):,}{', then the loss diverged' if self.diverged else ''}"),
        ]
        return screen(f'learning rates of stage "{self.stage}"', rows)

    def to_json(self) -> dict[str, Any]:
        names = ("lowest", "suggestion", "why_none", "setting")
        return asdict(self) | {name: getattr(self, name) for name in names}


def has_diverged(losses: list[float]) -> bool:
    """Whether the smoothed loss diverged, some steps ago so that no single batch decides."""
    smoothed = smooth(losses)
    return len(losses) > SIGMA and smoothed[-1 - SIGMA] > DIVERGED * smoothed.min()


def smooth(losses: list[float]) -> np.ndarray:
    """Smooths losses [N] with a centred Gaussian."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.array(losses), SIGMA, mode="nearest")


def rates_figure(test: "RangeTest") -> Any:
    """A matplotlib figure: the loss by learning rate, with the suggested and configured rates."""
    from kerascnn.results.canvas import Figure, log_scale

    figure = Figure(figsize=(8, 4.5), dpi=140, layout="constrained")
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, "o", color="#a9c4e0", ms=3, label="batch loss")
    axes.plot(test.rates, test.smoothed, color="#2b6cb0", lw=2, label="smoothed")
    if test.suggestion:
        label = f"suggestion {test.suggestion:.1e}"
        axes.axvline(test.suggestion, color="#2f855a", lw=1.5, label=label)
    label = f"configured {test.configured:.1e}"
    axes.axvline(test.configured, color="#c05621", lw=1, ls="--", label=label)
    log_scale(axes, "x")
    axes.set_ylim(0, 1.25 * max(test.smoothed))  # clips outlying batches
    axes.set(xlabel="learning rate", ylabel="training loss", title=f"stage {test.stage}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure
