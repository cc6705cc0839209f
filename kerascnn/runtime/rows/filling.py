"""Computes the rows that a store lacks, each in one process."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain

import numpy as np

from kerascnn.runtime.rows.claims import Claims
from kerascnn.runtime.rows.file import RowFile
from kerascnn.runtime.rows.index import prefixes

COMMIT_SECONDS = 1.0
"""The work that is lost at most when a process is killed."""

COMMIT_BYTES = 2**25
POLL_SECONDS = 0.05
_BLOCK = 2**16  # rows looked up at once
_MOST_PIECES = 32  # claimed at once: a claim takes 0.2 ms for each other process, one at a time
_SHARES = 64  # of the rows that are left, one is claimed at once, so that all end together

Columns = Mapping[str, np.ndarray]
Make = Callable[[Iterator[np.ndarray]], Iterable[tuple[np.ndarray, Columns]]]


class Filling:
    """The rows of `digests` on their way into a store.

    Args:
        digests: Keys, uint8 [N, 32]; several rows may have the same one.
        find: The places of keys, -1 where they are not stored.
        keys: The store's keys; a row is stored when its key is.
        columns: The store's other files.
        claims: What this filling and others are computing.
        lock: Keeps others from changing the store and its claims.
        committed: Called after each commit with the bytes that it added.
    """

    def __init__(
        self,
        digests: np.ndarray,
        find: Callable[[np.ndarray], np.ndarray],
        keys: RowFile,
        columns: Mapping[str, RowFile],
        claims: Claims,
        lock: Callable[[], AbstractContextManager],
        committed: Callable[[int], None],
    ) -> None:
        self._digests, self._find, self._claims, self._lock = digests, find, claims, lock
        self._keys, self._columns, self._committed = keys, columns, committed
        self._row_bytes = sum(file.row_bytes for file in (keys, *columns.values()))
        self._made: list[tuple[np.ndarray, Columns]] = []  # since the last commit
        self._made_rows = 0
        self._last_commit = time.monotonic()
        self._claimed = np.zeros(len(digests), bool)  # by this filling, at any time
        self._known = 0  # rows stored when it was seen what is missing, and its own since then

    def run(self, make: Make, piece: int, *, wait: bool) -> int:
        """Computes what no other process does, and returns how many rows; may wait for the rest."""
        made, missing = 0, np.arange(len(self._digests))
        while True:
            self._known = self._keys.count
            missing = self._missing(missing)
            if not len(missing):
                return made
            pieces = self._pieces(missing, piece)
            if (first := next(pieces, None)) is None:
                if not wait:
                    return made
                time.sleep(POLL_SECONDS)
                continue
            for rows, values in make(chain([first], pieces)):
                made += len(rows)
                self._add(rows, values)
            self._commit()
            with self._lock():
                self._claims.clear()  # or others would wait for rows that `make` has left out
            missing = missing[~self._claimed[missing]]

    def _missing(self, rows: np.ndarray) -> np.ndarray:
        blocks = np.split(rows, range(_BLOCK, len(rows), _BLOCK))
        return np.concatenate([block[self._find(self._digests[block]) < 0] for block in blocks])

    def _pieces(self, rows: np.ndarray, piece: int) -> Iterator[np.ndarray]:
        """Claims rows until all are stored or claimed; it does not wait, so no one waits for it."""
        while len(rows):
            count = piece * max(1, min(_MOST_PIECES, len(rows) // (_SHARES * piece)))
            with self._lock():
                others, claimed = self._claims.others(), rows[:0]
                while len(rows) and len(claimed) < count:
                    some, rows = np.split(rows, [count - len(claimed)])
                    if self._keys.count != self._known:
                        some = self._missing(some)
                    free = self._claims.add(prefixes(self._digests[some]), others)
                    claimed = np.concatenate([claimed, some[free]])
            if len(claimed):
                self._claimed[claimed] = True
                yield from np.split(claimed, range(piece, len(claimed), piece))

    def _add(self, rows: np.ndarray, values: Columns) -> None:
        self._made.append((rows, values))
        self._made_rows += len(rows)
        waited = time.monotonic() - self._last_commit
        if waited >= COMMIT_SECONDS or self._made_rows * self._row_bytes >= COMMIT_BYTES:
            self._commit()

    def _commit(self) -> None:
        """Appends what was made. A key is written when its row is on the disk."""
        if not self._made:
            return
        keys = self._digests[np.concatenate([rows for rows, _ in self._made])]
        with self._lock():
            count = self._keys.count
            self._known += len(keys) if count == self._known else 0
            for name, file in self._columns.items():
                end = count
                for rows, values in self._made:
                    file.write(end, values[name])
                    end += len(rows)
                file.sync()
            self._keys.write(count, keys)
            self._keys.sync()
            self._claims.drop(prefixes(keys))
        self._made, self._made_rows = [], 0
        self._last_commit = time.monotonic()
        self._committed(len(keys) * self._row_bytes)
