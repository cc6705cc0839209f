"""The nearest of known features, by exact search."""

import numpy as np

_BLOCK_BYTES = 2**26  # cosines held at a time


def nearest(known: np.ndarray, asked: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of known features for each of others, by exact search.

    Args:
        known: Of unit length: [N, F].
        asked: Of unit length: [Q, F].
        count: k, of which at most N are returned.

    Returns:
        Cosines float32 [Q, k], the greatest first, and the rows of `known`, int64 [Q, k].
    """
    known, count = known.astype(np.float32), min(count, len(known))
    block = max(1, _BLOCK_BYTES // (known.itemsize * len(known)))
    found = []
    for first in range(0, max(len(asked), 1), block):
        cosines = asked[first : first + block].astype(np.float32) @ known.T  # [block, N]
        found.append(greatest(cosines, count))
    values, rows = (np.concatenate(of) for of in zip(*found, strict=True))
    return values, rows


def greatest(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The greatest values of each row [B, N], the greatest first, and their columns: [B, count]."""
    columns = np.argpartition(-values, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(values, columns, 1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(found, order, 1), np.take_along_axis(columns, order, 1)


def of_unit_length(features: np.ndarray) -> np.ndarray:
    """Features [N, F] of unit length; those of length 0 stay."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)
