"""Which images a run had in which split and class: kept by every run, in `images.npz`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from kerascnn.engine.data.store.packed import Packed
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
        last = every.splits[every._by_pixels.of(every.digests)]
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
        by_content = self._by_content.of(images.contents)
        by_pixels = self._by_pixels.of(images.digests)
        return np.where(by_content >= 0, by_content, by_pixels)

    @cached_property
    def _by_content(self) -> "_LastRows":
        return _LastRows(self.contents)

    @cached_property
    def _by_pixels(self) -> "_LastRows":
        return _LastRows(self.digests)


class _LastRows:
    """The last row of each hash, sorted: a dict would take 200 bytes an image."""

    def __init__(self, hashes: np.ndarray) -> None:
        self._rows = np.argsort(_text(hashes), kind="stable")
        self._sorted = _text(hashes)[self._rows]

    def of(self, hashes: np.ndarray) -> np.ndarray:
        """The rows of hashes uint8 [M, 32]: int64 [M]; -1 where there is none."""
        wanted = _text(hashes)
        at = np.searchsorted(self._sorted, wanted, side="right") - 1
        found = at >= 0
        found[found] = self._sorted[at[found]] == wanted[found]
        return np.where(found, self._rows.take(at, mode="clip") if len(self._rows) else -1, -1)


def _text(hashes: np.ndarray) -> np.ndarray:
    """Hashes uint8 [N, 32] as strings, which NumPy sorts and compares."""
    return np.ascontiguousarray(hashes).view("S32")[:, 0]
