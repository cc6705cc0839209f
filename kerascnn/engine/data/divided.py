"""Which images a run had in which split and class: kept by every run, in `images.npz`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from kerascnn.engine.data.packed import Packed
from kerascnn.runtime.files import whole_file

SPLITS = ("train", "validation", "test")
IMAGES = "images.npz"


@dataclass(frozen=True)
class Divided:
    """The images of a run, those of the training split first and of the test split last.

    Args:
        contents: SHA-256 of what each was prepared from: uint8 [N, 32].
        digests: SHA-256 of each prepared image: uint8 [N, 32].
        splits: Of each the index in `SPLITS`: uint8 [N].
        labels: Of each the index of its class: int64 [N].
    """

    contents: np.ndarray
    digests: np.ndarray
    splits: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, splits: Mapping[str, Packed]) -> "Divided":
        """Those of the splits of a dataset; an image in several only in that which evaluates.

        So images that validate are not training images here, even if they train too.
        """
        packed = [splits[name] for name in SPLITS]
        every = cls(
            np.concatenate([split.contents for split in packed]),
            np.concatenate([split.digests for split in packed]),
            np.repeat(np.arange(len(SPLITS), dtype=np.uint8), [len(split) for split in packed]),
            np.concatenate([split.labels for split in packed]),
        )
        last = every.splits[_rows(every._by_pixels, every.digests)]
        return every._at(every.splits == last)

    @classmethod
    def read(cls, folder: Path) -> "Divided":
        with np.load(folder / IMAGES) as arrays:
            return cls(**arrays)

    def write(self, folder: Path) -> None:
        with whole_file(folder / IMAGES) as new, new.open("wb") as file:
            np.savez(file, **{of.name: getattr(self, of.name) for of in fields(self)})

    def __len__(self) -> int:
        return len(self.splits)

    def chosen(self, *names: str) -> "Divided":
        """Those of some splits."""
        return self._at(np.isin(self.splits, [SPLITS.index(name) for name in names]))

    def _at(self, rows: np.ndarray) -> "Divided":
        return Divided(*(getattr(self, of.name)[rows] for of in fields(self)))

    def find(self, images: Packed) -> np.ndarray:
        """The row of each image here, by its content or else its pixels; -1 if it is not here."""
        by_content = _rows(self._by_content, images.contents)
        by_pixels = _rows(self._by_pixels, images.digests)
        return np.where(by_content >= 0, by_content, by_pixels)

    @cached_property
    def _by_content(self) -> dict[bytes, int]:
        return {content.tobytes(): row for row, content in enumerate(self.contents)}

    @cached_property
    def _by_pixels(self) -> dict[bytes, int]:
        return {digest.tobytes(): row for row, digest in enumerate(self.digests)}


def _rows(of: Mapping[bytes, int], hashes: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    return np.array([of.get(one.tobytes(), -1) for one in hashes], np.int64)
