"""The choice of the best of many: intervals, who is as good, and the optimism of the maximum."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn.engine.metrics import choice
from kerascnn.engine.metrics.choice import (
    best_of,
    interval,
    not_told_apart,
    optimism,
    optimism_of_named,
)
from kerascnn.engine.metrics.race import Marks, Scoring
from kerascnn.engine.metrics.significance import wilson_interval

ACCURACY, LOSS = Scoring("val_accuracy"), Scoring("val_loss")


def entered(correct):
    """The marks of entrants [M, N] with one seed each."""
    return {n: [Marks(float(one.mean()), one)] for n, one in enumerate(correct)}


def drawn(rng, shares, images=400):
    """Correct or not [M, N] for trials of these true accuracies, on images of shared hardness."""
    from scipy.stats import norm

    shared, own = rng.normal(size=images), rng.normal(size=(len(shares), images))
    hardness = np.sqrt(0.8) * shared + np.sqrt(0.2) * own
    return hardness < norm.ppf(np.asarray(shares))[:, None]


def test_only_those_that_are_as_good_cannot_be_told_from_the_best():
    entrants = entered(drawn(np.random.default_rng(0), [0.6, 0.9, 0.9, 0.7, 0.89]))
    best = best_of(entrants)
    assert set(not_told_apart(ACCURACY, entrants)) == {1, 2, 4} - {best}
    assert not_told_apart(ACCURACY, {3: entrants[3]}) == []


def test_the_tests_are_corrected_for_their_number():
    correct = np.ones((4, 50), bool)
    for row in (1, 2, 3):
        correct[row, :6] = False  # p = 0.03 alone
    assert not_told_apart(ACCURACY, entered(correct[:2])) == []
    assert not_told_apart(ACCURACY, entered(correct)) == [1, 2, 3]


def test_the_true_best_is_among_the_best_and_those_not_told_apart():
    rng, missed = np.random.default_rng(1), 0
    for _ in range(40):
        shares = rng.uniform(0.7, 0.9, 15)
        entrants = entered(drawn(rng, shares, 200))
        kept = {best_of(entrants), *not_told_apart(ACCURACY, entrants)}
        missed += shares.argmax() not in kept
    assert missed <= 2


def test_the_optimism_is_what_the_maximum_of_equal_trials_gains():
    rng, gains, estimates = np.random.default_rng(2), [], []
    for _ in range(12):
        correct = drawn(rng, [0.85] * 20, 200)
        gains.append(correct.mean(1).max() - 0.85)
        estimates.append(optimism(ACCURACY, entered(correct)))
    assert np.mean(estimates) == pytest.approx(np.mean(gains), rel=0.25)
    assert optimism(ACCURACY, entered(correct[:1])) is None


def test_a_trial_far_ahead_has_no_optimism():
    correct = drawn(np.random.default_rng(3), [0.95, 0.5, 0.5, 0.5])
    assert optimism(ACCURACY, entered(correct)) == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 6), st.integers(2, 40))
@settings(max_examples=20, deadline=None)
def test_whatever_the_outcomes_the_figures_are_in_range(seed, seeds, count, images):
    rng = np.random.default_rng(seed)
    correct = rng.random((count, seeds, images)) < rng.random((count, 1, 1))
    entrants = {n: [Marks(float(one.mean()), one) for one in of] for n, of in enumerate(correct)}
    apart = not_told_apart(ACCURACY, entrants)
    assert best_of(entrants) not in apart
    assert set(apart) <= set(entrants)
    assert 0 <= optimism(ACCURACY, entrants) <= 1
    for entrant in entrants.values():
        low, high = interval(ACCURACY, entrant)
        assert 0 <= low <= np.mean([one.value for one in entrant]) + 1e-12
        assert high <= 1


def test_intervals_are_of_the_metric_as_reported():
    correct = drawn(np.random.default_rng(4), [0.8])
    assert interval(ACCURACY, entered(correct)[0]) == wilson_interval(int(correct.sum()), 400)
    parts = np.log(np.random.default_rng(5).uniform(0.3, 1, 400)).astype(np.float32)
    low, high = interval(LOSS, [Marks(float(parts.mean()), parts)])
    assert 0 < low < -parts.mean() < high
    seeds = drawn(np.random.default_rng(6), [0.75, 0.85, 0.8])
    low, high = interval(ACCURACY, [Marks(float(one.mean()), one) for one in seeds])
    alone = interval(ACCURACY, [Marks(float(seeds.mean(0).mean()), seeds.mean(0) > 0.5)])
    assert high - low > alone[1] - alone[0]  # seeds vary, besides images


def test_the_optimism_of_a_named_metric_is_that_of_the_same_accuracy():
    rng = np.random.default_rng(7)
    labels, correct = rng.integers(2, size=300), drawn(rng, [0.8] * 8, 300)
    found = [np.eye(2)[np.where(one, labels, 1 - labels)] for one in correct]
    named = SimpleNamespace(sign=1, compute=lambda y, p, split: float((p.argmax(1) == y).mean()))
    entrants = {n: [one] for n, one in enumerate(found)}
    best = best_of(entered(correct))
    estimate = optimism_of_named(named, labels, entrants, best)
    assert estimate == pytest.approx(optimism(ACCURACY, entered(correct)), abs=0.012)
    assert optimism_of_named(named, labels, {0: [found[0]]}, 0) is None
    undefined = SimpleNamespace(sign=1, compute=lambda *_: float("nan"))
    assert optimism_of_named(undefined, labels, entrants, best) is None


def test_a_slow_metric_has_fewer_samples(monkeypatch):
    monkeypatch.setattr(choice, "SECONDS", 0.0)
    calls = []
    named = SimpleNamespace(sign=-1, compute=lambda *_: calls.append(1) or 0.5)
    entrants = {n: [np.ones((6, 2))] for n in range(2)}
    assert optimism_of_named(named, np.zeros(6, int), entrants, 0) == 0
    assert len(calls) == 4  # inside and outside, of both


def test_a_hundred_trials_take_well_under_a_second():
    entrants = entered(drawn(np.random.default_rng(8), np.linspace(0.8, 0.9, 100), 3000))
    start = time.process_time()
    not_told_apart(ACCURACY, entrants)
    optimism(ACCURACY, entrants)
    assert time.process_time() - start < 1.0  # of all cores together
