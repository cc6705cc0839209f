"""Finds the images of a source in the packed store, and prepares those that it lacks."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from kerascnn.engine.data.identify import Identified, contents_of
from kerascnn.engine.data.stored import Stored
from kerascnn.engine.data.stream import Fault, Take, refuse_changed
from kerascnn.engine.data.workers import Workers, piece_length
from kerascnn.errors import SourceError
from kerascnn.runtime.commands import command
from kerascnn.runtime.row_store import Columns, RowStore

OnProgress = Callable[[int, int], None]


class Packing:
    """The images of a source on their way into the store.

    Args:
        workers: Read the source.
        identified: The images of the source.
        take: Prepares them.
        store: Takes what is prepared, by the content of each image.
        columns: Those of the store.
        on_progress: Called with the number of images packed and the number to pack.

    Attributes:
        made: The number of images that were prepared here, of which none has a twin.
    """

    def __init__(
        self,
        workers: Workers,
        identified: Identified,
        take: Take,
        store: RowStore,
        columns: Columns,
        on_progress: OnProgress,
    ) -> None:
        self._workers, self._identified, self._take = workers, identified, take
        self._store, self._columns, self._on_progress = store, columns, on_progress
        found = [store.find(contents_of(block)) for block in identified.blocks()]
        self._places = np.concatenate([np.empty(0, np.int64), *found])  # [N]
        self._missing = int((self._places < 0).sum())
        self._done, self._unreadable = 0, dict[int, str]()
        self.made = self._fill() if self._missing else 0

    @property
    def stored(self) -> Stored:
        return Stored(self._store, self._places)

    @property
    def faults(self) -> list[Fault]:
        """What is wrong with the images that could not be stored; they are tried every time."""
        bad = np.flatnonzero(self._places < 0).tolist()
        return [Fault(row, self._unreadable[row]) for row in bad]

    def _fill(self) -> int:
        first, made, done = 0, 0, 0
        sizes = (dtype.itemsize * math.prod(shape) for dtype, shape in self._columns.values())
        piece = piece_length(self._missing, sum(sizes))
        for block in self._identified.blocks():
            rows = first + np.flatnonzero(self._places[first : first + len(block)] < 0)
            contents = contents_of(block[rows - first])
            made += self._store.fill(contents, partial(self._make, rows, contents), piece)
            self._places[rows] = self._store.find(contents)
            first, done = first + len(block), done + len(rows)
            self._tell(done)  # others may have packed some
        return made

    def _make(
        self, rows: np.ndarray, contents: np.ndarray, claims: Iterator[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, Mapping[str, np.ndarray]]]:
        """Prepares the images that are claimed, of these with these contents; see `RowStore`."""
        pieces = (rows[claimed].tolist() for claimed in claims)
        for made in self._workers.map_pieces(self._take, pieces):
            at = np.searchsorted(rows, made.rows)
            self._refuse_changed(made.rows, made.contents != contents[at])
            self._unreadable |= dict(made.faults)
            yield at, {name: getattr(made, name) for name in self._columns}
            self._tell(self._done + len(made.rows) + len(made.faults))

    def _tell(self, done: int) -> None:
        self._done = done
        self._on_progress(done, self._missing)

    def _refuse_changed(self, rows: np.ndarray, differ: np.ndarray) -> None:
        if not self._identified.remembered:
            refuse_changed(self._workers.source, rows, differ)
        elif differ.any():
            row, clear = rows[differ.any(axis=1)][0], command("cache", "clear", "--kind", "packed")
            with self._workers.named():
                raise SourceError(
                    f"source[{row}] returned another image before, under the same fingerprint. "
                    "An image must be the same on every call, and the fingerprint must change "
                    f"with it. When that is mended, run `{clear}`."
                )
