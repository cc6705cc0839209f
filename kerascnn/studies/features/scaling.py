"""Features on one scale."""

import numpy as np


def standardized(features: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Features [M, F] scaled so that others have zero mean and unit variance.

    Args:
        features: float32 [M, F].
        like: The others, float32 [N, F]; default the same. What is constant there is only shifted.
    """
    like = features if like is None else like
    deviation = like.std(0)
    return (features - like.mean(0)) / np.where(deviation > 0, deviation, 1)
