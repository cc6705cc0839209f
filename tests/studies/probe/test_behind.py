"""How far probes are behind the best: paired, and corrected for their number."""

import numpy as np
import pytest

from kerascnn.engine.metrics.significance import mcnemar
from kerascnn.studies.probe.behind import behind_best


def test_probes_are_compared_with_the_best_on_the_same_images():
    best = np.arange(100) < 90
    close, far = np.arange(100) < 87, np.arange(100) < 60
    none, near, worse = behind_best([best, close, far], best=0)
    assert none is None
    assert near.difference == pytest.approx(0.03)
    assert near.interval[0] <= 0.03 <= near.interval[1]
    assert near.p_value == pytest.approx(mcnemar(3, 0))  # the greater of two p-values
    assert worse.p_value == pytest.approx(2 * mcnemar(30, 0))
    assert (near.told_apart, worse.told_apart) == (False, True)


def test_the_best_may_be_anywhere_and_alone():
    assert behind_best([np.array([True])], best=0) == [None]
    first, second = behind_best([np.array([True, False]), np.array([True, True])], best=1)
    assert second is None
    assert first.difference == 0.5
