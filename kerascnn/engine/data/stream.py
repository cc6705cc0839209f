"""Prepares the images of a source in parallel and bounded memory: all once, or batch by batch."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kerascnn.engine.data.files import content_of, shown
from kerascnn.engine.data.hashes import perceptual_hash
from kerascnn.engine.data.images import ImageError
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.reading import read
from kerascnn.engine.data.stored import DESCRIPTION, Stored
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
    """Images of a source, without those that cannot be read."""

    rows: np.ndarray  # int64 [B], their indices in the source
    contents: np.ndarray  # SHA-256 of the content that was decoded, uint8 [B, 32]
    images: np.ndarray  # uint8 [B, P, P, 3]
    descriptions: np.ndarray  # `DESCRIPTION` of each [B]
    faults: list[Fault]  # of the images that cannot be read


class PreparedImage(NamedTuple):
    """One of `PreparedImages`."""

    row: int
    content: np.ndarray
    image: np.ndarray
    description: tuple[np.ndarray, np.ndarray, float]


def prepare_rows(source: Source, rows: Rows, preparation: Preparation) -> PreparedImages:
    made, faults = list[PreparedImage](), list[Fault]()
    for row in rows:
        try:
            image, _ = read(source, row)
            made.append(prepare_image(row, image, content_of(image), preparation))
        except SourceError:
            raise
        except InputError as error:
            reason = error.reason if isinstance(error, ImageError) else str(error)
            faults.append(Fault(row, reason))
    return gathered(made, preparation, faults)


def prepare_image(row: int, image: Any, content: bytes, preparation: Preparation) -> PreparedImage:
    """Prepares the image of a row; `content` is what `content_of` gave."""
    pixels, peak = preparation.with_peak(image, content or None)
    description = digest_of(pixels), perceptual_hash(pixels), peak
    return PreparedImage(row, digest_of(content), pixels, description)


def gathered(
    made: Sequence[PreparedImage], preparation: Preparation, faults: Sequence[Fault] = ()
) -> PreparedImages:
    size = preparation.packed_size
    return PreparedImages(
        rows=np.array([one.row for one in made], np.int64),
        contents=np.array([one.content for one in made], np.uint8).reshape(-1, 32),
        images=np.array([one.image for one in made], np.uint8).reshape(-1, size, size, 3),
        descriptions=np.array([one.description for one in made], DESCRIPTION),
        faults=list(faults),
    )


def digest_of(data: Any) -> np.ndarray:
    """SHA-256 of bytes or of an array: uint8 [32]."""
    return np.frombuffer(hashlib.sha256(data).digest(), np.uint8)


def name_of(source: Source, row: int) -> str:
    """The path of an image, or its number if it has none, for messages."""
    with suppress(InputError):
        image, _ = read(source, row)
        if isinstance(image, str | os.PathLike):
            return shown(image)
    return f"image {row}"


Take = Callable[[Source, Rows], PreparedImages]
"""`prepare_rows` with a preparation."""


class StreamedImages(Images):
    """Images that are prepared each time they are used; their digests must stay the same."""

    def __init__(self, workers: Workers, take: Take, size: int, stored: Stored) -> None:
        super().__init__((len(stored), size, size, 3))
        self._workers, self._take, self._stored = workers, take, stored

    def _read(self, rows: np.ndarray) -> np.ndarray:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        source, digests, done = self._workers.source, self._stored.digests(rows), 0
        for made in self._workers.map(self._take, rows.tolist()):
            if made.faults:
                row, reason = made.faults[0]
                raise RunError(f"cannot read {name_of(source, row)} any more: {reason}.")
            here = slice(done, done + len(made.images))
            refuse_changed(source, made.rows, made.descriptions["digest"] != digests[here])
            images[here], done = made.images, here.stop
        return images


def refuse_changed(source: Source, rows: np.ndarray, differ: np.ndarray) -> None:
    """Raises RunError where the hashes of images differ, bool [B, 32]; `rows` are their indices."""
    changed = rows[differ.any(axis=1)]
    if len(changed):
        raise RunError(
            f"{name_of(source, int(changed[0]))} has changed since this run started. "
            "Start it again, and do not change images while it runs."
        )
