"""How certain the choice of the best of many trials is, all judged on the same images."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from kerascnn.engine.metrics.named import SECONDS, NamedMetric
from kerascnn.engine.metrics.race import ACCURACY, LEVEL, Marks, Scoring, value_of
from kerascnn.engine.metrics.significance import (
    combined,
    holm,
    mean_error,
    resamples,
    wilson_interval,
)
from kerascnn.errors import PluginError

RESAMPLES = 200
NAMED_RESAMPLES = 30  # each computes a named metric twice for every trial

Entrants = Mapping[int, Sequence[Marks]]
"""The marks of each entrant's seeds at their end, by the entrant's number."""


def best_of(entrants: Entrants) -> int:
    """The number of the entrant with the greatest value; of equal ones the first."""
    return max(entrants, key=lambda number: value_of(entrants[number]))


def not_told_apart(scoring: Scoring, entrants: Entrants) -> list[int]:
    """The entrants that the paired test cannot tell from the best, which is left out.

    The tests of all against the best are corrected by Holm's method at a level of 5%.
    """
    best = best_of(entrants)
    others = [number for number in entrants if number != best]
    tests = [scoring.p_value(entrants[best], entrants[number]) for number in others]
    return [number for number, p in zip(others, holm(tests), strict=True) if p > LEVEL]


def interval(scoring: Scoring, seeds: Sequence[Marks]) -> tuple[float, float]:
    """The 95% interval of an entrant's value, as the metric is reported.

    Wilson's for the accuracy of one seed; else by the t-distribution, of a named metric with its
    bootstrap standard error, the variance among several seeds added to that among images.
    """
    from scipy.stats import t

    if scoring.metric == ACCURACY and len(seeds) == 1:
        return wilson_interval(int(seeds[0].parts.sum()), len(seeds[0].parts))
    value = value_of(seeds)
    errors = [scoring.error(np.mean([one.parts for one in seeds], axis=0, dtype=float))]
    if len(seeds) > 1:
        errors.append(mean_error(np.array([one.value for one in seeds])))
    error, freedom = combined(errors)
    half = float(t.ppf(0.975, freedom)) * error if error else 0.0
    low, high = sorted((scoring.sign * (value - half), scoring.sign * (value + half)))
    if scoring.metric == ACCURACY:
        return max(0.0, low), min(1.0, high)
    return low, high


def optimism(scoring: Scoring, entrants: Entrants) -> float | None:
    """By how much the best entrant's value exceeds its true value, as the best of all.

    The choice is repeated on bootstrap samples of the images and judged on the images left out, as
    in BBC-CV (Tsamardinos et al. 2018, doi 10.1007/s10994-018-5714-4); what counts is the
    difference from the best entrant on the same left-out images, which varies less. In
    simulations it was within 20% of the truth where that was above 0.01, while the estimate of
    Tibshirani and Tibshirani (2009, doi 10.1214/08-AOAS224) was twice the truth.

    Args:
        scoring: By accuracy or loss; for a named metric see `optimism_of_named`.
        entrants: The marks of all that the best was chosen from.

    Returns:
        At least 0, for a loss as for an accuracy; None with fewer than two entrants.
    """
    if len(entrants) < 2:
        return None
    means = [np.mean([one.parts for one in seeds], axis=0) for seeds in entrants.values()]
    by_image = np.array(means, np.float32).T  # [N, M]
    rows = resamples(len(by_image), RESAMPLES)
    counts = np.array([np.bincount(some, minlength=len(by_image)) for some in rows])  # [R, N]
    left_out = (counts == 0).astype(np.float32)
    outside = left_out @ by_image / np.maximum(left_out.sum(1, keepdims=True), 1)  # [R, M]
    inside = counts.astype(np.float32) @ by_image
    return _shortfall(inside, outside, list(entrants).index(best_of(entrants)))


def optimism_of_named(
    metric: NamedMetric, labels: np.ndarray, entrants: Mapping[int, Sequence[np.ndarray]], best: int
) -> float | None:
    """As `optimism`, by a named metric; over a minute of computing there are fewer samples.

    Args:
        metric: That decides.
        labels: int [N].
        entrants: The probabilities [N, K] of each entrant's seeds, by the entrant's number.
        best: The number of the best entrant.

    Returns:
        None also where the metric is not defined in any sample.
    """
    if len(entrants) < 2:
        return None

    def values(rows: np.ndarray) -> list[float]:
        return [
            float(np.mean([_value(metric, labels[rows], one[rows]) for one in seeds]))
            for seeds in entrants.values()
        ]

    end, inside, outside = time.monotonic() + SECONDS, [], []
    for rows in resamples(len(labels), NAMED_RESAMPLES):
        inside.append(values(rows))
        outside.append(values(np.setdiff1d(np.arange(len(labels)), rows)))
        if time.monotonic() > end:
            break
    in_samples, left_out = np.array(inside), np.array(outside)
    whole = ~np.isnan(in_samples + left_out).any(1)
    if not whole.any():
        return None
    return _shortfall(in_samples[whole], left_out[whole], list(entrants).index(best))


def _shortfall(inside: np.ndarray, outside: np.ndarray, best: int) -> float:
    """How far what is chosen by `inside` [R, M] is behind the best in `outside` [R, M]."""
    chosen = outside[np.arange(len(inside)), inside.argmax(1)]
    return max(0.0, float((outside[:, best] - chosen).mean()))


def _value(metric: NamedMetric, labels: np.ndarray, probabilities: np.ndarray) -> float:
    try:
        return metric.sign * metric.compute(labels, probabilities, "resampled")
    except PluginError:
        return float("nan")
