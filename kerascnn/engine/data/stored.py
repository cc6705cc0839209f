"""Images in the packed store: where those of a split lie, and what is stored of each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.data.hashes import HASH_WORDS
from kerascnn.runtime.row_store import Columns, RowStore

DESCRIBED: Columns = {
    "digests": (np.dtype(np.uint8), (32,)),  # SHA-256 of the prepared image
    "hashes": (np.dtype(np.uint64), (HASH_WORDS,)),  # its perceptual hash
    "peaks": (np.dtype(np.float64), ()),  # see `PreparedImages`
}
"""Type and shape of what is stored of an image besides its pixels."""


def pixels(size: int) -> Columns:
    """Type and shape of the prepared image itself."""
    return {"images": (np.dtype(np.uint8), (size, size, 3))}


@dataclass(frozen=True)
class Stored:
    """What is stored of the images of a split, read when it is used."""

    store: RowStore
    places: np.ndarray  # int64 [N], the row of each image

    def __len__(self) -> int:
        return len(self.places)

    def read(self, column: str, rows: Any = slice(None)) -> np.ndarray:
        """A column of the images at these indices."""
        return self.store.read(column, self.places[rows])

    def at(self, rows: np.ndarray) -> "Stored":
        return Stored(self.store, self.places[rows])
