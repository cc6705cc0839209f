"""Activations at the boundary: once per image, by a faster equivalent network, and cached."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np

from kerascnn.engine.network.inference import run_once
from kerascnn.engine.network.prefix.earlier import Earlier, Read, earlier_layers
from kerascnn.engine.network.prefix.fastest import KIND, Fastest
from kerascnn.engine.network.prefix.folding import DisagreementError
from kerascnn.engine.network.prefix.stored import StoredRows, scratch_rows
from kerascnn.engine.network.prefix.ways import ways
from kerascnn.errors import RunError
from kerascnn.runtime.cache import Entry, entries, find
from kerascnn.runtime.compilation import BATCH_SIZE
from kerascnn.runtime.rows.store import RowStore
from kerascnn.runtime.source_code import UnknownCodeError

COLUMN = "activations"
HELD_BYTES = 2**28
"""Activations that are held in memory, at most, until the first have been compared."""

Batch = tuple[np.ndarray, Any]
"""Rows int [B], and their images [B, S, S, 3]; later their activations [B, ...]."""

Batches = Generator[Batch]


class Prefix(Fastest):
    """A frozen prefix; the activations of an image are computed once and cached.

    It runs in the fastest of its `ways`, and is compared with the model itself: see `Fastest`.

    Args:
        model: From images to activations, run in inference mode.
        about: What listings of the cache call it.
        precision: A dtype policy to compute in; default the layers' own.
        built_by: The function that built the network; its package's code is part of the cache key.
        engine: What computes: "auto", "openvino" or "backend".
        warned: Receives a warning if a way is rejected, or nothing can be cached.
    """

    def __init__(
        self,
        model: Any,
        about: str,
        precision: str | None = None,
        built_by: Callable | None = None,
        engine: str = "auto",
        warned: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._precision, self._engine = precision, engine
        self._before: dict[str, Earlier | None] = {}  # by what the cache calls them
        super().__init__(model, about, ways(model, precision, engine), built_by, warned)

    def stored(
        self,
        digests: np.ndarray,
        seen: str,
        what: str,
        batches: Callable[..., Batches],
    ) -> Any:
        """The activations of N images, from the cache as far as they are there.

        Others are computed from those of an earlier layer, if the cache has them, or from images.

        Args:
            digests: SHA-256 of the prepared images, uint8 [N, 32].
            seen: Identifies what the network sees of an image: all of it, or which view.
            what: The same in words, for listings of the cache.
            batches: Receives the rows int [B] to compute, of at most `BATCH_SIZE`, and how to read
                their activations at an earlier layer, if these are stored. Yields rows with those
                or with their images, in any order.

        Returns:
            An array [N, ...] in the way's dtype; if it is large, indexed like one, and read
            when it is.

        Raises:
            DisagreementError: Another way has to run: see `reject`.
            RunError: The original model gives numbers that are not finite.
        """
        store, count = self._store(seen, what), len(digests)
        missing = np.flatnonzero(store.find(digests) < 0)
        for earlier in self._earlier(seen, what) if len(missing) else ():
            before = earlier.prefix._store(seen, what)
            places = before.find(digests)
            known = missing[places[missing] >= 0]
            read = partial(_read, before, places)
            _fill(store, digests, known, partial(self._continued, earlier, read, count, batches))
            missing = missing[store.find(digests[missing]) < 0]
        _fill(store, digests, missing, lambda rows: self._outputs(count, batches(rows)))
        places, shape = store.find(digests), self.model.output_shape[1:]
        return StoredRows(store, COLUMN, places, self.way.dtype, shape).in_memory()

    def at_hand(self, digests: np.ndarray, seen: str) -> Any | None:
        """As `stored`, if the cache has the activations of all images; else None."""
        if not self.key or find(KIND, self.hashed(seen), lambda folder: True) is None:
            return None
        store = self._store(seen, seen)
        places, shape = store.find(digests), self.model.output_shape[1:]
        if (places < 0).any():
            return None
        return StoredRows(store, COLUMN, places, self.way.dtype, shape).in_memory()

    def unstored(self, count: int, batches: Batches) -> np.ndarray:
        """As `stored`, of images that cannot be found again: on the disk only while in use."""
        shape = (count, *self.model.output_shape[1:])
        return scratch_rows(KIND, shape, self.way.dtype, self._outputs(count, batches))

    def next_way(self, reason: str) -> None:
        self._before.clear()
        super().next_way(reason)

    @property
    def named(self) -> str:
        return "the frozen part"

    def unknown(self, unknown: UnknownCodeError) -> None:
        self.warned(f"activations are computed in each stage and not cached: {unknown}")

    def _store(self, seen: str, what: str) -> RowStore:
        columns = {COLUMN: (self.way.dtype, self.model.output_shape[1:])}
        return RowStore(KIND, self.hashed(seen), f"{self.about}: {what}", columns)

    @cached_property
    def _listed(self) -> list[Entry]:
        """The activations that the cache had when it was first searched."""
        return [entry for entry in entries([KIND]) if entry.rows]

    def _earlier(self, seen: str, what: str) -> Iterator[Earlier]:
        """The earlier layers of which activations are stored, the nearest first."""
        keys, end = {entry.key for entry in self._listed}, f": {what}"
        abouts = (entry.about for entry in self._listed if entry.about.endswith(end))
        listed = {about.removesuffix(end) for about in abouts}
        for about, before, between in earlier_layers(self.model, self.about, listed):
            if about not in self._before:
                self._before[about] = self._from(about, before, between)
            earlier = self._before[about]
            if earlier and earlier.agrees is not False and earlier.prefix.hashed(seen) in keys:
                yield earlier

    def _from(self, about: str, before: Any, between: Any) -> Earlier | None:
        """An earlier layer, unless it does not run in this prefix's way."""
        prefix = Prefix(before, about, self._precision, self.built_by, self._engine)
        if prefix.way.key == self.way.key:
            ways_on = ways(between, self._precision, self._engine)
            with suppress(DisagreementError, StopIteration):
                way = next(way for way in ways_on if way.key == self.way.key)
                return Earlier(prefix, way.forward())
        return None

    def _continued(
        self,
        earlier: Earlier,
        read: Read,
        count: int,
        batches: Callable[..., Batches],
        claims: Iterator[np.ndarray],
    ) -> Iterator[Batch]:
        """Computes from an earlier layer on, once that has given a batch bit for bit."""
        if earlier.agrees is None:
            for rows, values in self._outputs(count, batches(islice(claims, 1))):
                earlier.compare(values, read(rows))
                yield rows, values
        if not earlier.agrees:
            yield from self._outputs(count, batches(claims))
            return

        def run(number: int, rows: np.ndarray, before: np.ndarray) -> Batch:
            return rows, earlier.forward(before).astype(self.way.dtype)

        for rows, values in self._in_threads(run, batches(claims, read)):
            if np.isfinite(values).all():  # else they are computed from the images, and examined
                yield rows, values

    def _outputs(self, count: int, batches: Batches) -> Iterator[Batch]:
        forward, dtype = self.forward, self.way.dtype
        comparing: list[Future[None]] = []

        def run(number: int, rows: np.ndarray, images: np.ndarray) -> Batch:
            with np.errstate(over="ignore"):
                values = forward(images).astype(dtype)
            # in this thread: on JAX no two threads may run models that share weights
            self._check(values, images, rows, count)
            if number == 0 and self.engine:  # which shares none
                comparing.append(thread.submit(self.compare, images, values))
            elif number == 0:
                self.compare(images, values)
            return rows, values

        made = self._in_threads(run, batches)
        with ThreadPoolExecutor(1) as thread, closing(made):
            yield from _once_compared(made, comparing)

    def _in_threads(self, run: Callable[..., Batch], batches: Batches) -> Batches:
        """Calls run(number, rows, inputs) for each batch."""
        calls, running = self.way.calls, deque[Future[Batch]]()
        # the batches in this thread: what making them raises must be raised here
        with closing(batches), ThreadPoolExecutor(calls) as threads:
            for number, batch in enumerate(batches):
                running.append(threads.submit(run, number, *batch))
                if len(running) > calls:
                    yield running.popleft().result()
            for last in running:
                yield last.result()

    def _check(self, values: np.ndarray, images: np.ndarray, rows: np.ndarray, count: int) -> None:
        """Raises an error if activations of a batch are not finite."""
        axes = tuple(range(1, values.ndim))
        finite = np.isfinite(values).all(axes)
        if self.slower and not finite.all():
            values = run_once(self.model, images)
            if np.isfinite(values).all():
                raise DisagreementError(f"activations overflow {self.way.dtype}")
            finite = np.isfinite(values).all(axes)
        if not finite.all():
            raise RunError(
                "the frozen part of the network gives activations that are not finite, first for "
                f"image {rows[~finite][0] + 1:,} of {count:,}. Its weights are damaged, or "
                f"{self.model.output.dtype} is too narrow for them."
            )


def _once_compared(batches: Batches, comparing: Sequence[Future[None]]) -> Iterator[Batch]:
    """Holds batches back while the first is compared with the model itself, unless they are large.

    JAX compiles the model for that, which takes longer than to run many batches on OpenVINO.
    """
    held, size = list[Batch](), 0
    for batch in batches:
        held.append(batch)
        size += batch[1].nbytes
        if size >= HELD_BYTES or all(one.done() for one in comparing):
            for one in comparing:
                one.result()
            yield from held
            held, size = [], 0
    for one in comparing:
        one.result()
    yield from held


def _read(store: RowStore, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return store.read(COLUMN, places[rows])


def _fill(
    store: RowStore,
    digests: np.ndarray,
    rows: np.ndarray,
    run: Callable[[Iterator[np.ndarray]], Iterator[Batch]],
) -> None:
    """Stores the activations of some of the images; `run` receives and yields their rows."""

    def make(claims: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, dict]]:
        for made, values in run(rows[claim] for claim in claims):
            yield np.searchsorted(rows, made), {COLUMN: values}

    store.fill(digests[rows], make, BATCH_SIZE)
