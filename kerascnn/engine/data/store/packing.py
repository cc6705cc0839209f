"""Finds the images of a source in the packed store, and prepares those that it lacks."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from kerascnn.engine.data.sources.workers import Workers, piece_length
from kerascnn.engine.data.store.alongside import Alongside, count_offered
from kerascnn.engine.data.store.identify import OnProgress, contents_of, identify
from kerascnn.engine.data.store.packed_store import PackedStore
from kerascnn.engine.data.store.stored import Stored
from kerascnn.engine.data.store.stream import Fault, PreparedImages, prepare_rows, refuse_changed
from kerascnn.errors import SourceError
from kerascnn.runtime.commands import command
from kerascnn.runtime.rows.filling import Columns


class Packing:
    """The images of a source on their way into the store.

    Args:
        workers: Read the source.
        store: Takes what is prepared, by the content of each image.
        on_progress: Called with the number of images packed and the number to pack.

    Attributes:
        fingerprint: Of the source.
        labels, files: Of each image the label, and whether it is a file: [N].
        made: The number of images that were prepared here, or just before for something else.
    """

    def __init__(self, workers: Workers, store: PackedStore, on_progress: OnProgress) -> None:
        preparation = store.preparation
        self._workers, self._on_progress = workers, on_progress
        self._alongside = Alongside(workers.count, but=preparation)
        also = self._alongside.preparations
        self._take = partial(prepare_rows, preparation=preparation, also=also)
        self._store, self._rows, self.made = store, store.rows, 0
        self._identified = identify(workers, preparation, also, self._keep, on_progress)
        self.fingerprint = self._identified.fingerprint
        self.labels = np.empty(workers.count, np.int64)
        self.files = np.empty(workers.count, np.bool_)
        self._places = np.empty(workers.count, np.int64)
        for first, block in self._blocks():
            here = slice(first, first + len(block))
            self.labels[here], self.files[here] = block["label"], block["is_file"]
            contents = contents_of(block)
            self._places[here] = self._rows.find(contents)
            self.made += count_offered(preparation, contents)
        self._missing = int((self._places < 0).sum())
        self._piece = piece_length(self._missing, 3 * preparation.packed_size**2)
        self._done, self._unreadable = 0, dict[int, str]()
        self._fill()

    @property
    def stored(self) -> Stored:
        return Stored(self._rows, self._places)

    @property
    def faults(self) -> list[Fault]:
        """What is wrong with the images that could not be stored; they are tried every time."""
        bad = np.flatnonzero(self._places < 0).tolist()
        return [Fault(row, self._unreadable[row]) for row in bad]

    def _blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The images in blocks, each with the index of its first one."""
        first = 0
        for block in self._identified.blocks():
            yield first, block
            first += len(block)

    def _keep(self, prepared: Sequence[PreparedImages]) -> None:
        """Stores images that were prepared when they were identified."""
        self.made += self._store.offer(prepared)
        for made in prepared:
            self._alongside.add(made)

    def _fill(self) -> None:
        """Stores the images that are missing."""
        done = 0
        for first, block in self._blocks() if self._missing else ():
            rows = first + np.flatnonzero(self._places[first : first + len(block)] < 0)
            contents = contents_of(block[rows - first])
            make = partial(self._make, rows, contents)
            self.made += self._rows.fill(contents, make, self._piece)
            self._places[rows] = self._rows.find(contents)
            done += len(rows)
            self._tell(done)  # others may have packed some
        self._alongside.store()

    def _make(
        self, rows: np.ndarray, contents: np.ndarray, claims: Iterator[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, Columns]]:
        """Prepares the images that are claimed, of these with these contents; see `RowStore`."""
        pieces = (rows[claimed].tolist() for claimed in claims)
        for made in self._workers.map_pieces(self._take, pieces):
            at = np.searchsorted(rows, made.rows)
            self._refuse_changed(made.rows, made.contents != contents[at])
            self._unreadable |= dict(made.faults)
            self._alongside.add(made)
            yield at, self._store.values(made)
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
                    "Return the same image on every call, and change the fingerprint with any "
                    f"image; then run `{clear}`."
                )
