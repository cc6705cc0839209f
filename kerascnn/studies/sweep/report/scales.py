"""How a figure places the values of a key: on a line, a logarithmic line, or side by side."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any

import numpy as np

from kerascnn.runtime.toml import as_toml
from kerascnn.studies.sweep.plan.values import Choices
from kerascnn.studies.sweep.report.labels import short_label, values_tried
from kerascnn.studies.sweep.result import SweepResult

FAR = 6  # times the distance between the best and the median value


@dataclass(frozen=True)
class Scale:
    """Positions from 0 to 1 for the values of a key.

    Args:
        ends: The least and the greatest number; None for categories.
        log: Whether equal ratios have equal distances.
        labels: The categories in the order of their positions, else the numbers of the ticks.
    """

    ends: tuple[float, float] | None
    log: bool
    labels: tuple[Any, ...]

    def place(self, value: Any) -> float:
        """The position of a value; NaN of one that is not on the scale."""
        if self.ends is None:
            known = [as_category(label) for label in self.labels]
            value = as_category(value)
            return (known.index(value) + 0.5) / len(known) if value in known else np.nan
        low, high = (_line(end, self.log) for end in self.ends)
        return (_line(value, self.log) - low) / (high - low)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Positions and their labels."""
        return [(self.place(label), short_label(label)) for label in self.labels]


def scale_of(result: SweepResult, key: str) -> Scale:
    """The scale of a key, by the values that trials have had."""
    tried = values_tried(result)[key]
    if isinstance(tried, Choices):
        return Scale(None, False, tried.values)
    drawn = [trial.params[key] for trial in result.trials if key in trial.params]
    low, high = min(drawn), max(drawn)
    if low == high:
        return Scale(None, False, (low,))
    return Scale((low, high), tried.log, tuple(ticks(low, high, tried.log)))


def as_category(value: Any) -> str:
    """What tells one choice from another: 1, 1.0 and true differ."""
    return f"{type(value).__name__} {as_toml(value)}"


def frame(values: Iterable[float | None], greater_is_better: bool) -> tuple[float, float] | None:
    """The range of values that is worth drawing: without those that are far worse than the rest."""
    known = sorted(value for value in values if value is not None and isfinite(value))
    if not known:
        return None
    best = known[-1] if greater_is_better else known[0]
    reach = FAR * abs(float(np.median(known)) - best) or abs(known[-1] - known[0]) or 0.01
    low, high = max(known[0], best - reach), min(known[-1], best + reach)
    margin = 0.06 * (high - low) or 0.01
    return low - margin, high + margin


def _line(value: float, log: bool) -> float:
    return log10(value) if log else float(value)


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Two to five round numbers between the ends."""
    if not log:
        from matplotlib.ticker import MaxNLocator

        within = [float(t) for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high]
        return within if len(within) > 1 else [low, high]
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        within = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(within) > 1:
            return within[:: ceil(len(within) / 5)]
    return [low, high]
