"""The nearest images: by angle, among those that are known, in blocks."""

import numpy as np
import pytest

from kerascnn.studies.features import neighbours
from kerascnn.studies.features.neighbours import alike, nearest


def test_neighbours_are_the_nearest_known_others(monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK_BYTES", 7 * 40 * 4)
    features = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    known = np.arange(40) % 3 > 0
    found = nearest(features, known, 4)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    cosines[:, ~known] = -2
    assert np.array_equal(found.rows, np.argsort(-cosines, axis=1)[:, :4])
    assert found.likeness == pytest.approx(-np.sort(-cosines, axis=1)[:, :4], abs=1e-6)
    assert nearest(features, known, 99).rows.shape == (40, known.sum() - 1)


def test_pairs_that_are_alike_come_once():
    features = np.array([[1, 0], [1, 0.01], [0, 1], [0, 0]], np.float32)
    assert list(alike(features, 0.9)) == [(0, 1)]
