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
    for first in range(0, len(asked), block):
        cosines = asked[first : first + block].astype(np.float32) @ known.T  # [block, N]
        rows = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(cosines, rows, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        found.append([np.take_along_axis(of, order, 1) for of in (values, rows)])
    values, rows = (np.concatenate(of) for of in zip(*found, strict=True))
    return values, rows
