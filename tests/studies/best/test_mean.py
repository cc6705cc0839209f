"""What may be the best: all that the validation images cannot tell from it."""

import numpy as np
import pytest

from kerascnn.studies.best.mean import candidates

LABELS = np.tile([0, 1], 50)
RNG = np.random.default_rng(0)


def saying(right):
    """Probabilities [N, 2] of the given share for the class of each image."""
    right = np.broadcast_to(right, len(LABELS))
    return np.where(np.eye(2)[LABELS] > 0, right[:, None], 1 - right[:, None])


def test_those_that_err_differently_cannot_be_told_apart_and_are_in_order():
    often, seldom = RNG.permutation([0.95] * 90 + [0.3] * 10), [0.95] * 92 + [0.3] * 8
    assert candidates({7: saying(often), 3: saying(seldom)}, LABELS) == [3, 7]


@pytest.mark.parametrize("number", [0, 9])
def test_what_is_worse_on_every_image_is_none(number):
    assert candidates({number: saying(0.9), 4: saying(0.8)}, LABELS) == [number]


def test_of_equal_ones_all_may_be_the_best():
    assert candidates({3: saying(0.8), 5: saying(0.8)}, LABELS) == [3, 5]
