"""Images of a source, prepared in parallel and in bounded memory: all once, or batch by batch."""

import hashlib
import pickle
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kerascnn.engine.data.depth import Range
from kerascnn.engine.data.hashes import HASH_WORDS, perceptual_hash
from kerascnn.engine.data.images import ImageError, Resizing, prepared, shown
from kerascnn.errors import InputError, RunError
from kerascnn.hookspecs import Source
from kerascnn.runtime.cache import scratch
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.workers import worker_processes

T = TypeVar("T")
Rows = Sequence[int]

_WORTH_PROCESSES_SECONDS = 3.0  # starting them takes one or two
_PIECE = 16  # images that a worker is handed at once,
_PIECE_BYTES = 2**22  # or as many as take this much, at least one


class Images(ABC):
    """Square images, uint8 [N, S, S, 3], of which only those asked for are in memory."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The image [S, S, 3] of an int; those [B, S, S, 3] of a slice or an array of ints."""
        if isinstance(rows, int | np.integer | slice):
            rows = range(len(self))[rows]
        chosen = np.asarray(rows)
        if chosen.size and (chosen.dtype.kind not in "iu" or not self._holds(chosen)):
            raise IndexError(f"expected integers from 0 to {len(self) - 1}, not {rows!r}")
        images = self._read(chosen.reshape(-1).astype(np.int64))
        return images.reshape(*chosen.shape, *self.shape[1:])

    def _holds(self, rows: np.ndarray) -> bool:
        return bool(rows.min() >= 0 and rows.max() < len(self))

    @abstractmethod
    def _read(self, rows: np.ndarray) -> np.ndarray:
        """The images of int64 [B] rows: uint8 [B, S, S, 3]."""


class Fault(NamedTuple):
    """What is wrong with the image of a row."""

    row: int
    reason: str


@dataclass(frozen=True)
class PreparedImages:
    """Prepared images.

    Args:
        images: uint8 [B, S, S, 3]; zeros where one cannot be read.
        labels: int64 [B].
        digests: SHA-256 of each image, uint8 [B, 32].
        hashes: Perceptual hash of each image, uint64 [B, 4].
        files: bool [B], whether an image comes from a file.
        peaks: float64 [B], the greatest value of each that has more than 8 bits a value, else 0.
        faults: Those that cannot be read.
    """

    images: np.ndarray
    labels: np.ndarray
    digests: np.ndarray
    hashes: np.ndarray
    files: np.ndarray
    peaks: np.ndarray
    faults: list[Fault]


def prepare(
    source: Source, rows: Rows, size: int, how: Resizing, value_range: Range | None = None
) -> PreparedImages:
    """Prepares some images of a source."""
    count = len(rows)
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
            image, made.labels[at] = source[row]
            made.files[at] = isinstance(image, str | Path)
            made.images[at], made.peaks[at] = prepared(image, size, how, value_range)
        except InputError as error:
            reason = error.reason if isinstance(error, ImageError) else str(error)
            made.faults.append(Fault(row, reason))
        made.digests[at] = np.frombuffer(hashlib.sha256(made.images[at]).digest(), np.uint8)
        made.hashes[at] = perceptual_hash(made.images[at])
    return made


def name_of(source: Source, row: int) -> str:
    """Where an image comes from, for people."""
    with suppress(InputError):
        image = source[row][0]
        if isinstance(image, str | Path):
            return shown(image)
    return f"image {row}"


Take = Callable[[Source, Rows], PreparedImages]
"""`prepare` for one size, way of resizing and range of values."""


class Workers:
    """Ask a source for its images in parallel.

    Decoding leaves Python's lock to other threads, drawing holds it: a source that takes long to
    give an image is asked in processes, to each of which it is sent once.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def map(
        self, function: Callable[[Source, Rows], T], rows: Rows, row_bytes: int = 1
    ) -> Iterator[T]:
        """What the function makes of the rows, piece by piece in order, few pieces ahead.

        Args:
            function: `function(source, piece)`.
            rows: Indices into the source.
            row_bytes: What it makes of one of them, roughly.
        """
        ahead = 2 * available_cores()
        length = max(1, min(_PIECE, _PIECE_BYTES // row_bytes, len(rows) // ahead))
        waiting: deque[Future[T]] = deque()
        try:
            for first in range(0, len(rows), length):
                waiting.append(self._submit(function, rows[first : first + length]))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _submit(self, function: Callable[[Source, Rows], T], rows: Rows) -> "Future[T]":
        if self._sent is None:
            return self._threads.submit(function, self.source, rows)
        return worker_processes().submit(_with_sent, self._sent, function, rows)

    @cached_property
    def _threads(self) -> Executor:
        return ThreadPoolExecutor(available_cores(), thread_name_prefix="kerascnn-images")

    @cached_property
    def _sent(self) -> str | None:
        """A file with the source for processes; None where threads do, or it cannot be sent."""
        start = time.perf_counter()
        with suppress(InputError):  # `prepare` names it
            self.source[0]
        if (time.perf_counter() - start) * len(self.source) <= _WORTH_PROCESSES_SECONDS:
            return None
        import cloudpickle  # type: ignore[import-untyped]

        try:
            sent = cloudpickle.dumps(self.source)
        except (TypeError, pickle.PicklingError):  # such as one that holds an open file
            return None
        # in the cache, which is the user's alone: whoever could write to it would run code here
        kept = ExitStack()
        weakref.finalize(self, kept.close)
        file = kept.enter_context(scratch("sources")) / "source"
        file.write_bytes(sent)
        return str(file)


def _with_sent(file: str, function: Callable[[Source, Rows], T], rows: Rows) -> T:
    return function(_received(file), rows)


@lru_cache(1)
def _received(file: str) -> Source:
    return pickle.loads(Path(file).read_bytes())


class StreamedImages(Images):
    """Images that are prepared anew each time that they are asked for.

    Args:
        workers: Ask the source.
        take: Prepares them.
        size: Pixels, height and width.
        digests: SHA-256 of each, uint8 [N, 32]: what they were when all were read.
    """

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
                raise RunError(f"while images were streamed: {self._name(row)}: {reason}")
            changed = (made.digests != self._digests[rows[here]]).any(axis=1)
            if changed.any():
                raise RunError(
                    f"{self._name(rows[here][changed][0])} is no longer what it was when this run "
                    "began; leave the images as they are while it runs, and start it again."
                )
            images[here], done = made.images, here.stop
        return images

    def _name(self, row: int) -> str:
        return name_of(self._workers.source, row)
