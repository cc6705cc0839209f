"""The values of one key of a sweep: a range of numbers, or choices."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerascnn.runtime.toml import as_toml

if TYPE_CHECKING:
    from optuna import Trial

DIGITS = 12  # of a drawn number, so that 0.1 + 2 × 0.1 is 0.3


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Args:
        log: Whether they are drawn evenly on a logarithmic scale.
        step: Their distance from `low` on; None for any number between.
        whole: Whether they are whole numbers.
    """

    low: float
    high: float
    log: bool
    step: float | None
    whole: bool = False

    @property
    def ends(self) -> tuple[float, ...]:
        return self.low, self.high

    @property
    def listed(self) -> list[Any] | None:
        """All values; None where there are too many to list."""
        if self.log or (self.step is None and not self.whole):
            return None
        step = self.step or 1
        return [self._number(self.low + index * step) for index in range(self._steps(step) + 1)]

    def at(self, share: float) -> Any:
        """The value at a share of the range, from 0 to below 1."""
        if (listed := self.listed) is not None:
            return listed[int(share * len(listed))]
        half = 0.5 if self.whole else 0.0
        low, high = self.low - half, self.high + half
        if self.log:
            drawn = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            drawn = low + share * (high - low)
        return min(max(self._number(drawn), self.low), self.high)

    def suggest(self, trial: "Trial", key: str) -> Any:
        if self.whole:
            ends, step = (int(self.low), int(self.high)), int(self.step or 1)
            return trial.suggest_int(key, *ends, log=self.log, step=step)
        high = self.high if self.step is None else self.low + self.step * self._steps(self.step)
        return trial.suggest_float(key, self.low, high, log=self.log, step=self.step)

    def _steps(self, step: float) -> int:
        return math.floor((self.high - self.low) / step * (1 + 1e-12))

    def _number(self, value: float) -> float | int:
        return round(value) if self.whole else float(f"{value:.{DIGITS}g}")

    def stored(self, value: Any) -> Any:
        return value

    def given(self, stored: Any) -> Any:
        return stored


@dataclass(frozen=True)
class Choices:
    """Any of these values; tables and arrays are stored as TOML."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        return self.values

    @property
    def listed(self) -> list[Any]:
        return list(self.values)

    def at(self, share: float) -> Any:
        return self.values[int(share * len(self.values))]

    def suggest(self, trial: "Trial", key: str) -> Any:
        return self.given(trial.suggest_categorical(key, [self.stored(one) for one in self.values]))

    def stored(self, value: Any) -> Any:
        return value if isinstance(value, str | int | float) else as_toml(value)

    def given(self, stored: Any) -> Any:
        return next(one for one in self.values if _same(self.stored(one), stored))


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1, 1.0 and true are different choices."""
    return type(one) is type(other) and one == other
