"""Intervals and tests against published values, other ways to compute them, and simulation."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy import stats

from kerascnn.engine.metrics.significance import (
    grouped_difference,
    holm,
    mcnemar,
    paired_interval,
    resampled_means,
    wilson_interval,
)


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


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (5, 0), (9, 2), (0, 12), (40, 61)])
def test_mcnemar_is_the_binomial_sum(first, second):
    apart = first + second
    tail = sum(comb(apart, k) for k in range(min(first, second) + 1)) / 2**apart
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail), rel=1e-12)
    assert mcnemar(first, second) == mcnemar(second, first)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni():
    p_values = np.random.default_rng(0).random(50) ** 3
    corrected = np.array(holm(p_values))
    assert (np.diff(corrected[np.argsort(p_values)]) >= 0).all()
    assert (corrected >= p_values).all()
    assert (corrected <= np.minimum(50 * p_values, 1) + 1e-15).all()


def equal_networks(rng, networks, images):
    """Whether each of some equally good networks is right: they agree on what is easy."""
    easiness = rng.beta(1.5, 0.5, images)
    return rng.random((networks, images)) < easiness


def test_equal_networks_are_told_apart_no_more_often_than_said():
    rng, alarms, families = np.random.default_rng(0), [], []
    for _ in range(300):
        right = equal_networks(rng, 4, 150)
        p_values = [mcnemar((a & ~b).sum(), (b & ~a).sum()) for a, b in combinations(right, 2)]
        alarms += [p < 0.05 for p in p_values]
        families.append(min(holm(p_values)) < 0.05)
    assert 0.005 < np.mean(alarms) < 0.05  # exact, hence on the careful side
    assert np.mean(families) < 0.05


def test_the_interval_of_equal_networks_holds_0_as_often_as_said():
    rng = np.random.default_rng(1)
    bounds = [paired_interval(*equal_networks(rng, 2, 200), 1000, seed) for seed in range(600)]
    assert np.mean([low > 0 or high < 0 for low, high in bounds]) == pytest.approx(0.05, abs=0.025)


def test_two_seeds_of_the_bootstrap_give_nearly_one_interval():
    one, other = equal_networks(np.random.default_rng(2), 2, 300)
    first, second = (paired_interval(one, other, seed=seed) for seed in (1, 2))
    assert first == pytest.approx(second, abs=0.004)


def groups(rng, networks, images, ahead=0.0):
    """Two groups of networks, which differ in images, in seeds and, by `ahead`, in themselves."""
    easiness = rng.normal(1, 1, images)
    of_seed = rng.normal(0, 0.3, (2, networks, 1))
    scores = easiness + of_seed + rng.normal(0, 0.7, (2, networks, images))
    scores[0] += ahead
    return scores > 0


def test_groups_of_equal_settings_are_told_apart_no_more_often_than_said():
    rng = np.random.default_rng(1)
    p_values = [grouped_difference(*groups(rng, 3, 150))[2] for _ in range(1000)]
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.05


def test_more_seeds_tell_groups_apart():
    rng = np.random.default_rng(4)
    difference, (low, high), p_value = grouped_difference(*groups(rng, 10, 400, ahead=0.8))
    assert 0 < low < difference < high
    assert p_value < 0.01


def test_groups_without_noise_among_images_are_compared_as_welch_does():
    first, second = np.array([0.80, 0.84, 0.79]), np.array([0.70, 0.77, 0.73, 0.69])
    constant = [np.repeat(accuracies[:, None], 50, axis=1) for accuracies in (first, second)]
    welch = stats.ttest_ind(first, second, equal_var=False)
    difference, (low, high), p_value = grouped_difference(*constant)
    assert difference == pytest.approx(first.mean() - second.mean())
    assert p_value == pytest.approx(welch.pvalue)
    assert (low, high) == pytest.approx(tuple(welch.confidence_interval()))


def test_groups_that_say_the_same_have_no_difference():
    same = np.ones((2, 30), bool)
    assert grouped_difference(same, same) == (0.0, (0.0, 0.0), 1.0)


def test_resampled_means_have_the_spread_of_a_mean():
    rows = np.random.default_rng(5).normal(size=(400, 2))
    means = resampled_means(rows)
    assert means.shape == (1000, 2)
    assert means.mean(0) == pytest.approx(rows.mean(0), abs=0.01)
    assert means.std(0) == pytest.approx(rows.std(0) / 20, rel=0.1)
