"""Pillow's bicubic, antialiased resizing as a matrix, for networks that resize their own input."""

import numpy as np

SUPPORT = 2.0
"""Of the bicubic filter, in pixels of the coarser image."""


def resampling(before: int, after: int) -> np.ndarray:
    """The matrix that resizes a row of pixels as Pillow's BICUBIC does, without its rounding.

    Args:
        before: Number of pixels, at least 1.
        after: Number of pixels wanted, at least 1.

    Returns:
        float32 [after, before]; each row sums to 1. Equal sizes give the identity.
    """
    scale = max(before / after, 1.0)
    centres = (np.arange(after) + 0.5) * before / after
    distances = (np.arange(before) + 0.5 - centres[:, None]) / scale  # [after, before]
    weights = np.where(np.abs(distances) < SUPPORT, _bicubic(np.abs(distances)), 0.0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _bicubic(distance: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Keys 1981 (doi 10.1109/TASSP.1981.1163711), with the `a` that Pillow uses."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return np.where(distance < 1, near, np.where(distance < SUPPORT, far, 0.0))
