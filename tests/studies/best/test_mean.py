import numpy as np
import pytest

from kerascnn.studies.best.mean import LARGEST, choose_members

LABELS = np.tile([0, 1], 50)
RNG = np.random.default_rng(0)


def saying(right):
    """Probabilities [N, 2] of the given share for the class of each image."""
    return np.where(np.eye(2)[LABELS] > 0, right[:, None], 1 - right[:, None])


def test_members_that_err_differently_are_taken_the_best_first():
    errors = {0: LABELS == 0, 1: LABELS == 1}
    tried = {number: saying(np.where(wrong, 0.4, 0.95)) for number, wrong in errors.items()}
    tried[2] = saying(np.full(100, 0.5))
    assert set(choose_members(tried, LABELS)) == {0, 1}
    tried[2] = saying(np.full(100, 0.9))
    assert choose_members(tried, LABELS)[0] == 2


def test_one_that_adds_nothing_is_left_out():
    same = saying(np.full(100, 0.8))
    assert choose_members({3: same, 5: same.copy()}, LABELS) == (3,)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_there_are_at_most_a_few(count):
    tried = {number: saying(RNG.uniform(0.3, 1, 100)) for number in range(count)}
    assert 1 <= len(choose_members(tried, LABELS)) <= min(count, LARGEST)
