"""How probabilities fit what came true."""

import numpy as np
import pytest

from kerascnn.engine.metrics.calibration import expected_calibration_error
from kerascnn.results.predictions import Predictions
from kerascnn.results.report.calibration import LEAST_IMAGES, calibrate


def predictions(count=4000, temperature=1.0, seed=0):
    """Labels that come true as often as the probabilities say, before the temperature."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, (count, 4))
    true = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    labels = (rng.random((count, 1)) > true.cumsum(1)).sum(1)
    raised = true ** (1 / temperature)
    shown = raised / raised.sum(1, keepdims=True)
    return Predictions([str(i) for i in range(count)], labels, shown)


def test_a_calibrated_network_shows_the_error_that_chance_explains():
    found = [calibrate(predictions(300, seed=seed)) for seed in range(20)]
    errors, chances = ([getattr(of, name) for of in found] for name in ("error", "by_chance"))
    assert np.mean(errors) == pytest.approx(np.mean(chances), rel=0.15)
    assert calibrate(predictions(300, temperature=0.3)).error > 1.5 * np.mean(chances)


def test_bins_are_drawn_with_enough_images_and_lose_none():
    some = predictions(90)
    bins = calibrate(some).bins
    assert sum(of.images for of in bins) == 90
    assert all(of.images >= LEAST_IMAGES for of in bins[:-1])
    for of in bins:
        assert of.interval[0] <= of.accuracy <= of.interval[1]
    error = expected_calibration_error(some.probabilities, some.labels)
    assert calibrate(some).error == error
