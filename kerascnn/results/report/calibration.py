"""Whether probabilities can be believed."""

from dataclasses import dataclass

import numpy as np

from kerascnn.engine.metrics.calibration import (
    calibration_bins,
    errors_by_chance,
    expected_calibration_error,
)
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.metrics.standing import judge
from kerascnn.results.predictions import Predictions

RESAMPLES = 200
"""Of a calibrated network, for its error on average."""

LEAST_IMAGES = 10
"""Bins with fewer images are drawn as one with their neighbour."""


@dataclass(frozen=True)
class Bin:
    """The images whose greatest probability lies in one bin, or in some that lie side by side.

    Args:
        confidence: Its mean, 0 to 1.
        accuracy: The share of right ones.
        interval: 95% (Wilson).
        images: Their number.
    """

    confidence: float
    accuracy: float
    interval: tuple[float, float]
    images: int


@dataclass(frozen=True)
class Calibration:
    """How a network's probabilities fit what came true.

    Args:
        bins: Those that hold images.
        error: The expected calibration error, 0 to 1.
        by_chance: What a perfectly calibrated network with these probabilities would show on so
            many images, on average.
        loss: The mean cross-entropy.
    """

    bins: list[Bin]
    error: float
    by_chance: float
    loss: float


def calibrate(predictions: Predictions) -> Calibration:
    """Compares the probabilities with what came true."""
    probabilities, labels = predictions.probabilities, predictions.labels
    return Calibration(
        bins=_bins(probabilities, labels),
        error=expected_calibration_error(probabilities, labels),
        by_chance=float(errors_by_chance(probabilities, RESAMPLES).mean()),
        loss=judge(probabilities, labels).score.loss,
    )


def _bins(probabilities: np.ndarray, labels: np.ndarray) -> list[Bin]:
    bin_of, right = calibration_bins(probabilities), probabilities.argmax(1) == labels
    bins = []
    for inside in _groups(bin_of):
        count, hits = int(inside.sum()), int(right[inside].sum())
        confidence = float(probabilities[inside].max(1).mean())
        bins.append(Bin(confidence, hits / count, wilson_interval(hits, count), count))
    return bins


def _groups(bin_of: np.ndarray) -> list[np.ndarray]:
    """The rows of each bin, bool [N]; small bins together, from the least probability on."""
    groups = [np.zeros(len(bin_of), bool)]
    for number in np.unique(bin_of):
        if groups[-1].sum() >= LEAST_IMAGES:
            groups.append(np.zeros(len(bin_of), bool))
        groups[-1] |= bin_of == number
    return groups
