"""Rows of the cache that are found by content: images, activations."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from kerascnn.runtime.cache import (
    CLAIMS,
    KEY_BYTES,
    KEYS,
    cache_folder,
    cached,
    keep_to_limit,
    limit_asked,
    slack_bytes,
    writing,
)
from kerascnn.runtime.rows.claims import Claims
from kerascnn.runtime.rows.file import RowFile
from kerascnn.runtime.rows.filling import Filling, Make
from kerascnn.runtime.rows.index import RowIndex

EVICT_BYTES = 2**28
"""How much a store grows, at least, before others must make room for it."""

_LOCK_POLL_SECONDS = 0.005
_BLOCK = 2**16  # rows looked up at once
_OPENED = 2**40  # places of each time that the entry was opened

Columns = Mapping[str, tuple[np.dtype, tuple[int, ...]]]


class RowStore:
    """Rows of fixed size in files that grow by appending, found by a key of 32 bytes.

    A row is seen once it is whole on the disk, by all processes; what a killed process has not
    committed is not seen, and is computed again. Several threads and processes may use an entry at
    once. It leaves the cache as a whole, never while a process fills it; rows that were found
    before can still be read.

    Args:
        kind, key, about: See `Entry`; the key decides what a row's own key does not.
        columns: The values of a row by name, with dtype and shape.
    """

    def __init__(self, kind: str, key: str, about: str, columns: Columns) -> None:
        self._kind, self._key, self._about, self._columns = kind, key, about, columns
        self._lock_file = cache_folder(kind) / f"{key}.lock"
        self._open = partial(cached, kind, key, about, self._create)
        self._opened = [self._open(self._files)]

    def find(self, digests: np.ndarray) -> np.ndarray:
        """The places of rows, int64 [N], by their keys, uint8 [N, 32]; -1 where not stored.

        Places are valid as long as this object is.
        """
        places = np.full(len(digests), -1)
        for first in range(0, len(digests), _BLOCK):
            places[first : first + _BLOCK] = self._find(digests[first : first + _BLOCK])
        return places

    def _find(self, digests: np.ndarray) -> np.ndarray:
        places = self._opened[0].index.find(digests)
        for number, opened in enumerate(self._opened[1:], 1):
            unknown = np.flatnonzero(places < 0)
            found = opened.index.find(digests[unknown])
            places[unknown] = np.where(found < 0, -1, found + number * _OPENED)
        return places

    def offer(self, digests: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Stores rows at hand, but for those that are stored or being computed by others.

        Args:
            digests: Keys, uint8 [N, 32].
            values: Of the rows by column, each [N, ...].

        Returns:
            Indices of the rows that were stored: int64 [M].
        """
        stored = [np.empty(0, np.int64)]

        def give(claims: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, Any]]:
            for rows in claims:
                stored.append(rows)
                every = len(rows) == len(digests)  # mostly, and then nothing is copied
                yield rows, {name: of if every else of[rows] for name, of in values.items()}

        self.fill(digests, give, max(1, len(digests)), wait=False)
        return np.concatenate(stored)

    def fill(self, digests: np.ndarray, make: Make, piece: int, *, wait: bool = True) -> int:
        """Stores all rows that are missing; each is computed by one process.

        Args:
            digests: Keys, uint8 [N, 32]; of equal ones, one is computed.
            make: Receives an iterator of rows that are neither stored nor computed by others, which
                it claims when asked: int64 [at most `piece`], indices into `digests`.
                Yields (rows, {column: values}) in any order and any pieces; rows that it leaves out
                stay missing. It is called again for rows whose process has died.
            piece: Rows given at once, above 0; several pieces are claimed at once while many rows
                are left.
            wait: Until others have computed the rest.

        Returns:
            The number of rows made by this call.

        Raises:
            InputError: The disk is full, or the cache folder is not writable.
        """
        if (self.find(digests) >= 0).all():
            return 0
        limit_asked()  # refused before the work
        grown = 0

        def committed(size: int) -> None:
            nonlocal grown
            grown += size
            if grown >= max(EVICT_BYTES, slack_bytes()):
                keep_to_limit(but=self._key)
                grown = 0

        with writing(cache_folder()):
            claims = self._open(self._begin)
            files = self._opened[-1]
            try:
                filling = Filling(
                    digests, self.find, files.keys, files.columns, claims, self._lock, committed
                )
                made = filling.run(make, piece, wait=wait)
                if grown:
                    keep_to_limit(but=self._key)
                return made
            finally:
                claims.release()

    def read(self, column: str, places: np.ndarray) -> np.ndarray:
        """The values of a column at these places, [N, *shape]; several threads may read.

        Raises:
            RunError: The file is truncated.
        """
        return self._read([opened.columns[column] for opened in self._opened], places)

    def keys(self, places: np.ndarray) -> np.ndarray:
        """The keys of the rows at these places: uint8 [N, 32]; else as `read`."""
        return self._read([opened.keys for opened in self._opened], places)

    def _read(self, files: Sequence[RowFile], places: np.ndarray) -> np.ndarray:
        """The values of rows; `files` are those of each time that the entry was opened."""
        opened, rows = np.divmod(places, _OPENED)
        if not opened.any():
            return files[0].read(rows)
        values = np.empty((len(places), *files[0].shape), files[0].dtype)
        for number in np.unique(opened):
            chosen = opened == number
            values[chosen] = files[number].read(rows[chosen])
        return values

    def _create(self, folder: Path) -> None:
        for name in (KEYS, *(f"{name}.bin" for name in self._columns)):
            (folder / name).touch()
        (folder / CLAIMS).mkdir()

    def _files(self, folder: Path) -> "_Files":
        return _Files(folder, self._columns)

    def _begin(self, folder: Path) -> Claims:
        """Keeps the entry from being removed; it may have been, and made anew, before."""
        if not self._opened[-1].keys.is_at(folder / KEYS):
            self._opened.append(_Files(folder, self._columns))
        return Claims(folder / CLAIMS)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with FileLock(self._lock_file).acquire(poll_interval=_LOCK_POLL_SECONDS):
            yield


class _Files:
    """The open files of an entry."""

    def __init__(self, folder: Path, columns: Columns) -> None:
        self.keys = RowFile(folder / KEYS, np.dtype(np.uint8), (KEY_BYTES,))
        self.columns = {name: RowFile(folder / f"{name}.bin", *columns[name]) for name in columns}
        self.index = RowIndex(self.keys)
