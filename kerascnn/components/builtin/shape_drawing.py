"""Draws one image of `shapes`."""

from collections.abc import Callable

import numpy as np

# Signed distance from each shape's edge at (x, y), in radii; positive outside.
OUTSIDE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda x, y: np.hypot(x, y) - 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) - 0.85,
    "triangle": lambda x, y: np.maximum(y, abs(x) * 3**0.5 / 2 - y / 2) - 0.6,
    "cross": lambda x, y: np.maximum(
        np.maximum(abs(x), abs(y)) - 1, np.minimum(abs(x), abs(y)) - 0.3
    ),
}


def draw(shape: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws the shape in random colours, at a random place and angle; uint8 [S, S, 3]."""
    radius, turn = rng.uniform(0.22, 0.34), rng.uniform(-0.2, 0.2)  # image widths, radians
    centre = rng.uniform(0.4, 0.6, 2)
    x, y = ((np.arange(size) + 0.5) / size - centre[:, None]) / radius
    x, y = x[None, :], y[:, None]
    across, down = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    outside = OUTSIDE[shape](across, down)[..., None] * radius * size  # [S, S, 1], pixels
    inside = np.clip(0.5 - outside, 0, 1)
    background, colour = rng.uniform(0, 110, 3), rng.uniform(145, 255, 3)
    pixels = background + (colour - background) * inside + rng.normal(0, 6, (size, size, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)
