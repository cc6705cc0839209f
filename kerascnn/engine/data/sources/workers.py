"""Workers that read a source in parallel, in threads or processes."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import cached_property, partial
from typing import TypeVar

from kerascnn.components.component import RegisteredComponent
from kerascnn.engine.data.sources.reading import read, source_faults
from kerascnn.errors import KerascnnError, SourceError
from kerascnn.hookspecs import Source
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.workers import WORTH_PROCESSES_SECONDS, Sent

T = TypeVar("T")
Rows = Sequence[int]
"""Indices of images in a source."""
_PIECE = 16  # images per task of a worker, at most,
_PIECE_BYTES = 2**22  # and as many as this holds, at least one


def piece_length(rows: int, row_bytes: int = 1) -> int:
    """How many of these rows a worker gets at once; `row_bytes` is what the result of one takes."""
    return max(1, min(_PIECE, _PIECE_BYTES // row_bytes, rows // (2 * available_cores())))


class Workers:
    """Read a source in parallel.

    Threads do for decoding, which releases Python's lock. A source that takes long to return an
    image, such as one that draws it, is read in processes, and sent to each of them once; if it
    cannot be sent, threads read it.

    Args:
        dataset: Whose source it is; named where it fails.
    """

    def __init__(self, source: Source, dataset: RegisteredComponent | None = None) -> None:
        self.source, self._dataset = source, dataset
        with self.named(), source_faults("len(source)"):
            self.count = len(source)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Names the dataset where its source fails."""
        try:
            yield
        except SourceError as error:
            raise (self._dataset.named(error) if self._dataset else error) from error.__cause__

    def map(self, function: Callable[[Source, Rows], T], rows: Rows) -> Iterator[T]:
        """Applies `function(source, piece)` to pieces of the rows, in order."""
        length = piece_length(len(rows))
        pieces = (rows[first : first + length] for first in range(0, len(rows), length))
        return self.map_pieces(function, pieces)

    def map_pieces(
        self, function: Callable[[Source, Rows], T], pieces: Iterable[Rows]
    ) -> Iterator[T]:
        """Applies `function(source, piece)` to each piece, in order, a few pieces ahead."""
        waiting: deque[Future[T]] = deque()
        try:
            for piece in pieces:
                waiting.append(self._submit(function, piece))
                if len(waiting) > 2 * available_cores():
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    def _result(self, future: "Future[T]") -> T:
        with self.named():
            return future.result()

    def _submit(self, function: Callable[[Source, Rows], T], rows: Rows) -> "Future[T]":
        if self._sent is None:
            return self._threads.submit(copy_context().run, function, self.source, rows)
        return self._sent.submit(function, rows)

    @cached_property
    def _threads(self) -> Executor:
        return ThreadPoolExecutor(available_cores(), thread_name_prefix="kerascnn-images")

    def _seconds(self) -> float:
        """How long the first image takes."""
        start = time.perf_counter()
        with suppress(KerascnnError):  # `prepare_rows` reports it
            read(self.source, 0)
        return time.perf_counter() - start

    @cached_property
    def _sent(self) -> Sent | None:
        """The source, for processes; None if threads do or it cannot be sent."""
        quick = WORTH_PROCESSES_SECONDS / max(self.count, 1)
        if self._seconds() <= quick or self._seconds() <= quick:  # the first may have opened a file
            return None
        import cloudpickle  # type: ignore[import-untyped]

        try:
            pickled = cloudpickle.dumps(self.source)
        except Exception:  # of a source with an open file, or of its own `__getstate__`
            return None
        return Sent(pickled, partial(source_faults, "receiving the source in another process"))
