"""The parts of a comparison: runs, groups of runs, pairs, and images that flip."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kerascnn.engine.metrics.named import Measured

LEAST_SEEDS = 3
"""Groups with fewer seeds are not tested: see `grouped_difference`."""

SURE = 0.05
"""Differences with a smaller Holm-corrected p-value count as significant."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Compared:
    """One run of a comparison; its intervals are 95%.

    Args:
        settings: Those that differ between the runs compared; None if a run lacks one.
        calibration_error: Expected calibration error, 0 to 1.
        size_bytes: Size of the saved model.
        same_test_images: Whether the test images are those of the reference run.
        metrics: Every metric that one of the runs lists, by name.
    """

    run_id: str
    name: str
    settings: dict[str, Any]
    test_accuracy: float
    interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    calibration_error: float
    calibration_interval: Interval
    parameters: int
    seconds: float
    size_bytes: int
    test_images: int
    same_test_images: bool
    metrics: dict[str, Measured] = field(default_factory=dict)

    @property
    def short(self) -> str:
        return self.run_id[:8]


@dataclass(frozen=True)
class Spread:
    """The values of a metric over runs that differ only in the seed.

    Args:
        standard_deviation: None for a single run.
    """

    mean: float
    standard_deviation: float | None
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(float(np.mean(values)), deviation, min(values), max(values))


@dataclass(frozen=True)
class Group:
    """Runs that differ only in the seed; of several with one seed, the latest.

    Args:
        name: A letter.
        settings: Those that differ between the groups; None if a group lacks one.
        metrics: Every metric that one of the runs lists, by name.
    """

    name: str
    settings: dict[str, Any]
    run_ids: list[str]
    seeds: list[int]
    test_accuracy: Spread
    macro_f1: Spread
    calibration_error: Spread
    seconds: Spread
    parameters: int
    metrics: dict[str, Spread] = field(default_factory=dict)

    @property
    def short(self) -> str:
        return self.name


@dataclass(frozen=True)
class Lead:
    """How far a run is ahead of another by a metric, in the direction that is better.

    Args:
        difference: Positive where the first is better.
        interval: 95% paired bootstrap interval; None where the metric is often not defined.
    """

    difference: float
    interval: list[float] | None


@dataclass(frozen=True)
class Pair:
    """Two runs, or two groups of runs, on the same test images.

    Args:
        first: Id of the more accurate run, or name of the group.
        second: Id or name of the other.
        difference: Difference in accuracy, 0 or greater.
        interval: 95%, of this pair alone: bootstrap for runs, see `grouped_difference` for groups.
        p_value: Exact McNemar for runs; None if a group has too few seeds.
        p_value_holm: Corrected for the number of pairs.
        first_alone: Test images on which only the first is right; None for groups.
        second_alone: Test images on which only the second is right; None for groups.
        pairs: Number of pairs corrected for.
        metrics: The lead of the first by each metric that one of the runs lists; {} for groups.
    """

    first: str
    second: str
    difference: float
    interval: Interval | None
    p_value: float | None
    p_value_holm: float | None = None
    first_alone: int | None = None
    second_alone: int | None = None
    pairs: int = 1
    metrics: dict[str, Lead] = field(default_factory=dict)

    @property
    def better(self) -> str | None:
        """The one that is significantly better, if any."""
        sure = self.p_value_holm is not None and self.p_value_holm < SURE
        return self.first if sure else None

    @property
    def verdict(self) -> str:
        first, second = self.first[:8], self.second[:8]
        if self.interval is None or self.p_value_holm is None:
            return (
                f"{first} and {second} cannot be tested: {self.difference:+.3f}, but a test takes "
                f"{LEAST_SEEDS} seeds each"
            )
        low, high = self.interval
        measured = (
            f"{max(self.difference, 0):+.3f} [{low:.3f}, {high:.3f}], {p_text(self.p_value_holm)}"
            f"{' after Holm correction' if self.pairs > 1 else ''}"
        )
        if self.better:
            return f"{first} is better than {second}: {measured}"
        if self.difference == 0:
            return f"{first} and {second} are equally accurate: {measured}"
        return f"{first} and {second} cannot be distinguished: {measured}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"better": self.better, "verdict": self.verdict}


def p_text(p_value: float) -> str:
    """Such as p = 0.008."""
    return f"p = {p_value:.3f}" if p_value >= 0.0005 else "p < 0.001"


@dataclass(frozen=True)
class Flip:
    """A test image that some runs classify correctly and others do not.

    Args:
        row: Its row in the predictions of the most accurate run.
        image: Its path or number.
        predicted: The prediction of each run.
        probability: The probability of that prediction, for each run.
    """

    row: int
    image: str
    label: str
    predicted: dict[str, str]
    probability: dict[str, float]

    def right(self, run_id: str) -> bool:
        return self.predicted[run_id] == self.label


def summary(against_best: Sequence[Pair]) -> str:
    """How certain it is that the first of these pairs is better than the others, in a sentence."""
    if len(against_best) < 2:
        return against_best[0].verdict if against_best else ""
    better = sum(pair.better is not None for pair in against_best)
    untested = sum(pair.p_value is None for pair in against_best)
    counts = {
        "better than": better,
        "not distinguishable from": len(against_best) - better - untested,
        "not tested against": untested,
    }
    total = len(against_best)
    said = [
        f"{what} {'all others' if count == total else f'{count} of {total}'}"
        for what, count in counts.items()
        if count
    ]
    tests = max(pair.pairs for pair in against_best)
    corrected = f" (p after Holm correction for {tests:,} pairs)" if tests > 1 else ""
    return f"{_leaders(against_best)}: {', '.join(said)}{corrected}"


def _leaders(against_best: Sequence[Pair]) -> str:
    """Which runs or groups have the highest accuracy."""
    level = [pair.second[:8] for pair in against_best if pair.difference == 0]
    if not level:
        return f"{against_best[0].first[:8]} has the highest accuracy"
    are = (
        "are equally accurate" if len(level) == len(against_best) else "share the highest accuracy"
    )
    leaders = ", ".join([against_best[0].first[:8], *level[:-1]])
    return f"{leaders} and {level[-1]} {are}"
