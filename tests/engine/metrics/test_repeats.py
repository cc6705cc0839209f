"""Several predictions for an image count as one image."""

import numpy as np
import pytest

from kerascnn.engine.metrics.calibration import calibration_interval
from kerascnn.engine.metrics.score import macro_f1_interval
from kerascnn.engine.metrics.significance import (
    by_image,
    mcnemar,
    repeated_interval,
    repeated_test,
    wilson_interval,
)

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 100)
ONCE = RNG.dirichlet((1, 1), 100)


@pytest.mark.parametrize("right", [0, 37, 100])
def test_without_repeats_the_interval_is_wilsons(right):
    shares = np.arange(100) < right
    assert repeated_interval(by_image(shares, 1)) == pytest.approx(wilson_interval(right, 100))


def test_the_same_predictions_again_say_nothing_new():
    thrice, labels = np.tile(ONCE, (3, 1)), np.tile(LABELS, 3)
    right = thrice.argmax(1) == labels
    once = int((ONCE.argmax(1) == LABELS).sum())
    assert repeated_interval(by_image(right, 3)) == pytest.approx(wilson_interval(once, 100))
    for interval in (macro_f1_interval, calibration_interval):
        assert interval(thrice, labels, 3) == pytest.approx(interval(ONCE, LABELS))


def test_predictions_that_vary_are_worth_more_images():
    shares = np.full(100, 0.6)
    shares[:50] = 0.7
    low, high = repeated_interval(shares)
    plain = wilson_interval(65, 100)
    assert plain[0] < low < 0.65 < high < plain[1]


def test_the_interval_covers_the_mean_in_95_of_100_samples():
    hits, truth = 0, 0.8
    for seed in range(400):
        rng = np.random.default_rng(seed)
        easy = rng.beta(4, 1, 60)  # of mean 0.8: how often each image is recognised
        low, high = repeated_interval(rng.binomial(3, easy) / 3)
        hits += low <= truth <= high
    assert 0.92 < hits / 400 < 0.99


def test_the_test_of_repeats_agrees_with_mcnemars():
    differences = np.zeros(1500)
    differences[:60], differences[60:90] = 1, -1
    assert repeated_test(differences) == pytest.approx(mcnemar(60, 30), rel=0.5)
    assert repeated_test(np.zeros(9)) == 1
