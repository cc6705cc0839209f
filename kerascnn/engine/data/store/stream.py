"""Prepares the images of a source in parallel and bounded memory: all once, or batch by batch."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from kerascnn.engine.data.decoding.hashes import perceptual_hash
from kerascnn.engine.data.decoding.images import Decoded, ImageError
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources.download import NotAtHandError
from kerascnn.engine.data.sources.files import content_of
from kerascnn.engine.data.sources.reading import name_of, reader
from kerascnn.engine.data.sources.workers import Rows, Workers
from kerascnn.engine.data.store.stored import DESCRIPTION, Stored
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
    also: tuple["PreparedImages", ...] = ()  # the same images in the other preparations


def prepare_rows(
    source: Source, rows: Rows, preparation: Preparation, also: Sequence[Preparation] = ()
) -> PreparedImages:
    """Prepares images; each is read, hashed and decoded once, also for other preparations."""
    preparing, faults = Preparing(preparation, also), list[Fault]()
    read = reader(source, rows)
    for row in rows:
        try:
            image, _ = read(row)
            preparing.add(row, image, content_of(image))
        except (SourceError, NotAtHandError):
            raise
        except InputError as error:
            reason = error.reason if isinstance(error, ImageError) else str(error)
            faults.append(Fault(row, reason))
    return preparing.images(faults)


class Preparing:
    """Images that are prepared one by one, each in one way and also in others."""

    def __init__(self, preparation: Preparation, also: Sequence[Preparation] = ()) -> None:
        self._first, self._also = preparation, also
        ways = dict.fromkeys((preparation, *also))
        self._made: dict[Preparation, list[_PreparedImage]] = {how: [] for how in ways}

    def add(self, row: int, image: Any, content: bytes) -> None:
        """Prepares the image of a row; `content` is what `content_of` gave."""
        digest, decoded = digest_of(content), Decoded()
        for how, made in self._made.items():
            drawn, peak = how.with_peak(image, content or None, decoded)
            pixels = np.asarray(drawn)  # [P, P, 3]
            description = digest_of(pixels), perceptual_hash(drawn), peak
            made.append(_PreparedImage(row, digest, pixels, description))

    def images(self, faults: Sequence[Fault] = ()) -> PreparedImages:
        each = {how: self._gathered(how, faults) for how in self._made}
        return replace(each[self._first], also=tuple(each[how] for how in self._also))

    def _gathered(self, how: Preparation, faults: Sequence[Fault]) -> PreparedImages:
        made, size = self._made[how], how.packed_size
        return PreparedImages(
            rows=np.array([one.row for one in made], np.int64),
            contents=np.array([one.content for one in made], np.uint8).reshape(-1, 32),
            images=np.array([one.image for one in made], np.uint8).reshape(-1, size, size, 3),
            descriptions=np.array([one.description for one in made], DESCRIPTION),
            faults=list(faults),
        )


class _PreparedImage(NamedTuple):
    """One of `PreparedImages`."""

    row: int
    content: np.ndarray
    image: np.ndarray
    description: tuple[np.ndarray, np.ndarray, float]


def digest_of(data: Any) -> np.ndarray:
    """SHA-256 of bytes or of an array: uint8 [32]."""
    return np.frombuffer(hashlib.sha256(data).digest(), np.uint8)


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
