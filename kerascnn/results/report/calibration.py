"""How well predicted probabilities match the outcomes."""

from dataclasses import dataclass

import numpy as np

from kerascnn.engine.metrics.calibration import (
    calibration_bins,
    errors_by_chance,
    expected_calibration_error,
)
from kerascnn.engine.metrics.score import judge
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.results.predictions import Predictions

RESAMPLES = 200
"""Number of resamples for the mean error of a calibrated network."""

LEAST_IMAGES = 10
"""Bins with fewer images are merged with their neighbour."""


@dataclass(frozen=True)
class Bin:
    """The images whose highest probability is in one bin, or in several adjacent ones.

    Args:
        confidence: Mean of the highest probability, 0 to 1.
        accuracy: Share of correct predictions.
        interval: 95% interval of the accuracy (Wilson).
        images: Number of images.
    """

    confidence: float
    accuracy: float
    interval: tuple[float, float]
    images: int


@dataclass(frozen=True)
class Calibration:
    """How well a network's probabilities match the outcomes.

    Args:
        bins: Those with images.
        error: Expected calibration error, 0 to 1.
        by_chance: Mean error of a perfectly calibrated network with these probabilities on the
            same number of images.
        loss: Mean cross-entropy.
    """

    bins: list[Bin]
    error: float
    by_chance: float
    loss: float


def calibrate(predictions: Predictions) -> Calibration:
    """Compares probabilities with outcomes."""
    probabilities, labels = predictions.probabilities, predictions.labels
    return Calibration(
        bins=_bins(probabilities, labels),
        error=expected_calibration_error(probabilities, labels),
        by_chance=float(errors_by_chance(probabilities, RESAMPLES).mean()),
        loss=judge(probabilities, labels).loss,
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
    """The rows of each bin, bool [N]; small bins merged, starting at the lowest probability."""
    groups = [np.zeros(len(bin_of), bool)]
    for number in np.unique(bin_of):
        if groups[-1].sum() >= LEAST_IMAGES:
            groups.append(np.zeros(len(bin_of), bool))
        groups[-1] |= bin_of == number
    return groups
