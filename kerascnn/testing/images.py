"""Random images to check components on."""

import numpy as np


def random_images(count: int, size: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Smooth random images, uint8 [N, S, S, 3]; with labels int [N], in the hue of their class."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (count, 4, 4, 3))
    if labels is not None:
        hues = rng.uniform(0, 255, (labels.max() + 1, 3))
        coarse = (coarse + 2 * hues[labels][:, None, None]) / 3
    rows = np.minimum(np.arange(size) * 4 // size, 3)
    images = coarse[:, rows][:, :, rows] + rng.normal(0, 8, (count, size, size, 3))
    return np.clip(images, 0, 255).astype(np.uint8)
