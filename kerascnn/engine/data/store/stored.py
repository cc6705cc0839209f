"""Images in the packed store: where those of a split lie, and what is stored of each."""

from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.decoding.hashes import HASH_WORDS
from kerascnn.runtime.rows.store import Columns, RowStore

DESCRIPTION = np.dtype(
    [
        ("digest", np.uint8, (32,)),  # SHA-256 of the prepared image
        ("hash", np.uint64, (HASH_WORDS,)),  # its perceptual hash
        ("peak", np.float64),  # the greatest value if over 8 bits, else 0
    ]
)
"""What is stored of an image besides its pixels."""

_BLOCK = 2**16  # images


def columns_of(size: int | None) -> Columns:
    """The columns of a store of images [size, size, 3], or of their descriptions alone."""
    described: Columns = {"descriptions": (DESCRIPTION, ())}
    if size is None:
        return described
    return {**described, "images": (np.dtype(np.uint8), (size, size, 3))}


@dataclass(frozen=True)
class Stored:
    """What is stored of the images of a split, read when it is used."""

    store: RowStore
    places: np.ndarray  # int64 [N], the row of each image

    def __len__(self) -> int:
        return len(self.places)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The images at these indices, int [B]: uint8 [B, P, P, 3]."""
        return self.store.read("images", self.places[rows])

    def digests(self, rows: np.ndarray) -> np.ndarray:
        """Their SHA-256: uint8 [B, 32]."""
        return self.store.read("descriptions", self.places[rows])["digest"]

    def every(self, name: str) -> np.ndarray:
        """The "digest", "hash" or "peak" of all images."""
        values = np.empty(len(self), DESCRIPTION[name])  # [N, ...]
        for first in range(0, len(self), _BLOCK):
            block = slice(first, first + _BLOCK)
            values[block] = self.store.read("descriptions", self.places[block])[name]
        return values

    def contents(self) -> np.ndarray:
        """SHA-256 of the content that each image was prepared from: uint8 [N, 32]."""
        return self.store.keys(self.places)

    def at(self, rows: np.ndarray) -> "Stored":
        return Stored(self.store, self.places[rows])
