"""Thresholds and sets of classes that hold on new images."""

import numpy as np
import pytest

from kerascnn.engine.metrics.conformal import (
    needed_images,
    prediction_sets,
    set_threshold,
    threshold,
)
from kerascnn.errors import InputError


@pytest.mark.parametrize("count", [19, 20, 37, 150])
def test_a_new_score_exceeds_the_threshold_as_often_as_asked(count):
    rng = np.random.default_rng(count)
    drawn = rng.random((20_000, count))
    limits = np.array([threshold(scores, 0.05, "") for scores in drawn])
    exceeded = (1 - limits).mean()  # of uniform scores, exactly
    assert 0.05 - 1 / (count + 1) - 0.002 <= exceeded <= 0.05 + 0.002


def test_too_few_images_are_an_error_that_says_how_many_are_needed():
    assert [needed_images(share) for share in (0.05, 0.1, 0.5)] == [19, 9, 1]
    assert threshold(np.arange(19.0), 0.05, "") == 18
    with pytest.raises(InputError, match=r"a share of 0.05 needs at least 19 .*has 18 validation"):
        threshold(np.arange(18.0), 0.05, "a share of 0.05")
    with pytest.raises(InputError, match=r"a coverage of 0\.99 needs at least 99 validation"):
        set_threshold(np.full((50, 2), 0.5), np.zeros(50, int), 0.99)


def test_sets_hold_the_right_class_as_often_as_asked_and_are_small_where_that_is_easy():
    rng, held, sizes = np.random.default_rng(0), [], []
    for _ in range(200):
        logits = 2 * rng.normal(size=(400, 6))
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        labels = (probabilities.cumsum(1) > rng.random((400, 1))).argmax(1)
        least = set_threshold(probabilities[:200], labels[:200], 0.9)
        sets = prediction_sets(probabilities[200:], least)
        held.append(sets[np.arange(200), labels[200:]].mean())
        sizes.append(sets.sum(1))
    assert np.mean(held) == pytest.approx(0.9, abs=0.01)
    assert 1 < np.mean(sizes) < 3
    assert np.min(sizes) == 1


def test_a_set_is_never_empty():
    sets = prediction_sets(np.array([[0.4, 0.35, 0.25], [0.8, 0.1, 0.1]]), 0.5)
    np.testing.assert_array_equal(sets, [[True, False, False], [True, False, False]])
