"""The nearest images by the angle between features."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kerascnn.engine.metrics.neighbours import greatest, of_unit_length

_BLOCK_BYTES = 2**26  # likenesses held at a time


class Neighbours(NamedTuple):
    """The nearest other images of each image, the nearest first.

    Args:
        rows: int64 [N, k].
        likeness: Cosine of the angle between their features, -1 to 1: float32 [N, k].
    """

    rows: np.ndarray
    likeness: np.ndarray


def nearest(features: np.ndarray, known: np.ndarray, k: int) -> Neighbours:
    """Finds the nearest known images of each image, itself excepted; exact.

    Args:
        features: float32 [N, F].
        known: Whether an image may be a neighbour, bool [N]; at least two.
        k: Number of neighbours, at least 1; fewer if fewer are known.
    """
    columns = np.flatnonzero(known)
    k = min(k, len(columns) - 1)
    rows = np.empty((len(features), k), np.int64)
    likeness = np.empty((len(features), k), np.float32)
    for first, block in _likenesses(features):
        here, block = slice(first, first + len(block)), block[:, columns]
        likeness[here], found = greatest(block, k)
        rows[here] = columns[found]
    return Neighbours(rows, likeness)


def alike(features: np.ndarray, least: float) -> Iterator[tuple[int, int]]:
    """Pairs of rows, the lesser first, whose features have at least this likeness."""
    for first, block in _likenesses(features):
        rows, others = np.nonzero(block >= least)
        for row, other in zip((rows + first).tolist(), others.tolist(), strict=True):
            if row < other:
                yield row, other


def _likenesses(features: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The cosines of some rows with all [B, N], and the first of them; -inf with itself."""
    unit = of_unit_length(features)
    step = max(1, _BLOCK_BYTES // (unit.itemsize * len(unit)))
    for first in range(0, len(unit), step):
        block = unit[first : first + step] @ unit.T  # of all with all, half of it is computed
        at = np.arange(len(block))
        block[at, first + at] = -np.inf
        yield first, block
