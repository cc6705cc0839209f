"""Square windows of images that are packed larger than the network's input."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Centred:
    """The middle windows of images, indexed like the images.

    Args:
        images: uint8 [N, P, P, 3]: an array, or indexed like one.
        size: Pixels S, at most P.
    """

    images: Any
    size: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), self.size, self.size, 3)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        images = self.images[chosen]
        first = (images.shape[-2] - self.size) // 2
        middle = slice(first, first + self.size)
        return images[..., middle, middle, :]


def random_windows(images: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A window [S, S] at a random place in each image [B, P, P, 3]."""
    room = images.shape[1] - size
    if not room:
        return images
    tops, lefts = rng.integers(0, room + 1, (2, len(images)))
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    chosen = windows[np.arange(len(images)), tops, lefts]  # [B, 3, S, S]
    return np.moveaxis(chosen, 1, -1)  # [B, S, S, 3]
