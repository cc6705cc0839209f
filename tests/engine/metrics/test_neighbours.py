"""The nearest of known features."""

import numpy as np
import pytest

from kerascnn.engine.metrics import neighbours
from kerascnn.engine.metrics.neighbours import nearest


def of_unit_length(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.mark.parametrize("block", [1, 2**26])
def test_the_search_is_exact(block, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK_BYTES", block)
    rng = np.random.default_rng(1)
    ours, others = (of_unit_length(rng.normal(size=(n, 8))) for n in (40, 7))
    similarities, rows = nearest(ours, others, 5)
    all_of_them = others @ ours.T
    np.testing.assert_array_equal(rows, np.argsort(-all_of_them, axis=1)[:, :5])
    np.testing.assert_allclose(similarities, -np.sort(-all_of_them, axis=1)[:, :5], atol=1e-6)
    assert nearest(ours[:2], others, 5)[1].shape == (7, 2)
