"""The difference between activations of two networks, relative to their spread."""

import numpy as np
import pytest

from kerascnn.engine.network.agreement import difference

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mean", [0, 1000])
def test_a_difference_is_a_share_of_the_spread_among_images(mean):
    """Not of their size: rounding may erase differences between large, similar rows."""
    expected = mean + RNG.normal(size=(8, 500))
    assert difference(expected + 0.1, expected) == pytest.approx(0.107, abs=0.01)
    assert difference(expected, expected) == 0


def test_without_a_spread_it_is_a_share_of_the_size():
    same = np.full((8, 3), 2.0, np.float32)
    assert difference(same * 1.01, same) == pytest.approx(0.01, rel=1e-5)
    assert difference(same[:1] * 1.01, same[:1]) == pytest.approx(0.01, rel=1e-5)
    assert difference(np.ones((2, 3)), np.zeros((2, 3))) == np.inf
    assert difference(np.zeros((2, 3)), np.zeros((2, 3))) == 0
