"""Prepares the images of a source in parallel and bounded memory: all once, or batch by batch."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerascnn.engine.data.files import shown
from kerascnn.engine.data.hashes import HASH_WORDS, perceptual_hash
from kerascnn.engine.data.images import ImageError
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.reading import read
from kerascnn.engine.data.workers import Rows, Workers
from kerascnn.errors import InputError, RunError, SourceError
from kerascnn.hookspecs import Source


class Images(ABC):
    """Square images, uint8 [N, P, P, 3], indexed like an array and read when they are used."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The image [P, P, 3] at an int, or those [B, P, P, 3] at a slice or an array of ints."""
        if isinstance(rows, int | np.integer | slice):
            rows = range(len(self))[rows]
        chosen, count = np.asarray(rows), len(self)
        whole = chosen.dtype.kind in "iu"
        if chosen.size and not (whole and chosen.min() >= 0 and chosen.max() < count):
            raise IndexError(f"expected integers from 0 to {count - 1}, not {rows!r}")
        images = self._read(chosen.reshape(-1).astype(np.int64))
        return images.reshape(*chosen.shape, *self.shape[1:])

    @abstractmethod
    def _read(self, rows: np.ndarray) -> np.ndarray:
        """The images at rows int64 [B]: uint8 [B, P, P, 3]."""


class Fault(NamedTuple):
    """What is wrong with the image of a row."""

    row: int
    reason: str


@dataclass(frozen=True)
class PreparedImages:
    images: np.ndarray  # uint8 [B, P, P, 3]; zeros where it cannot be read
    labels: np.ndarray  # int64 [B]
    digests: np.ndarray  # SHA-256 of each image, uint8 [B, 32]
    hashes: np.ndarray  # perceptual hash of each image, uint64 [B, 8]
    files: np.ndarray  # bool [B], whether an image comes from a file
    peaks: np.ndarray  # float64 [B], the greatest value if over 8 bits, else 0
    faults: list[Fault]  # of the images that cannot be read


def prepare_rows(source: Source, rows: Rows, preparation: Preparation) -> PreparedImages:
    count, size = len(rows), preparation.packed_size
    made = PreparedImages(
        images=np.zeros((count, size, size, 3), np.uint8),
        labels=np.zeros(count, np.int64),
        digests=np.zeros((count, 32), np.uint8),
        hashes=np.zeros((count, HASH_WORDS), np.uint64),
        files=np.zeros(count, np.bool_),
        peaks=np.zeros(count, np.float64),
        faults=[],
    )
    for at, row in enumerate(rows):
        try:
            image, made.labels[at] = read(source, row)
            made.files[at] = isinstance(image, str | Path)
            made.images[at], made.peaks[at] = preparation.with_peak(image)
        except SourceError:
            raise
        except InputError as error:
            reason = error.reason if isinstance(error, ImageError) else str(error)
            made.faults.append(Fault(row, reason))
        made.digests[at] = np.frombuffer(hashlib.sha256(made.images[at]).digest(), np.uint8)
        made.hashes[at] = perceptual_hash(made.images[at])
    return made


def name_of(source: Source, row: int) -> str:
    """The path of an image, or its number if it has none, for messages."""
    with suppress(InputError):
        image, _ = read(source, row)
        if isinstance(image, str | Path):
            return shown(image)
    return f"image {row}"


Take = Callable[[Source, Rows], PreparedImages]
"""`prepare_rows` with a preparation."""


class StreamedImages(Images):
    """Images that are prepared each time they are used; their digests must stay the same."""

    def __init__(self, workers: Workers, take: Take, size: int, digests: np.ndarray) -> None:
        super().__init__((len(digests), size, size, 3))
        self._workers, self._take, self._digests = workers, take, digests

    def _read(self, rows: np.ndarray) -> np.ndarray:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        done = 0
        for made in self._workers.map(self._take, rows.tolist()):
            here = slice(done, done + len(made.images))
            if made.faults:
                row, reason = made.faults[0]
                raise RunError(f"cannot read {self._name(row)} any more: {reason}.")
            changed = (made.digests != self._digests[rows[here]]).any(axis=1)
            if changed.any():
                raise RunError(
                    f"{self._name(rows[here][changed][0])} has changed since this run started. "
                    "Start it again, and do not change images while it runs."
                )
            images[here], done = made.images, here.stop
        return images

    def _name(self, row: int) -> str:
        return name_of(self._workers.source, row)
