"""Intervals against published values and the normal approximation."""

import numpy as np
import pytest

from kerascnn.statistics import paired_interval, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, doi 10.1002/(SICI)1097-0258, table I
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("successes", [0, 1, 499, 999, 1000])
def test_wilson_holds_the_share_and_stays_inside_of_0_to_1(successes):
    low, high = wilson_interval(successes, 1000)
    assert 0 <= low <= successes / 1000 + 1e-15
    assert successes / 1000 - 1e-15 <= high <= 1


def test_paired_interval_is_near_the_normal_one():
    rng = np.random.default_rng(1)
    before = rng.random(2000) < 0.80
    after = np.where(rng.random(2000) < 0.1, rng.random(2000) < 0.9, before)
    differences = after.astype(float) - before
    half = 1.96 * differences.std(ddof=1) / np.sqrt(2000)
    expected = (differences.mean() - half, differences.mean() + half)
    assert paired_interval(before, after) == pytest.approx(expected, abs=6e-4)


def test_paired_interval_of_floats():
    rng = np.random.default_rng(2)
    before, gain = rng.normal(size=500), rng.normal(0.3, 1, 500)
    half = 1.96 * gain.std(ddof=1) / np.sqrt(500)
    expected = (gain.mean() - half, gain.mean() + half)
    assert paired_interval(before, before + gain) == pytest.approx(expected, abs=5e-3)


def test_pairing_is_what_makes_it_narrow():
    right = np.arange(400) % 5 > 0
    assert paired_interval(right, right) == (0.0, 0.0)
    low, high = paired_interval(right, np.roll(right, 1))
    assert low < 0 < high


def test_the_same_seed_gives_the_same_interval():
    before, after = np.random.default_rng(3).normal(size=(2, 30))
    assert paired_interval(before, after) == paired_interval(before, after)
    assert paired_interval(before, after, seed=1) != paired_interval(before, after, seed=2)
