"""A file of rows of one size, read and written by the number of the row."""

import math
import os
import weakref
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from kerascnn.errors import RunError
from kerascnn.runtime.commands import command
from kerascnn.runtime.shared_file import SharedFile

_READ_BYTES = 2**28  # at most in one call of the system, whose limit is 2 GiB


class RowFile:
    """An existing file of rows in the cache; several threads may use it at once.

    It is read, not mapped: pages of a map count as memory in use once touched.

    Args:
        path: `<cache>/<kind>/<key>/NAME`.
        dtype, shape: Of one row.
    """

    def __init__(self, path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), shape
        self.row_bytes = self.dtype.itemsize * math.prod(shape)
        self._file = SharedFile(path, "r+")
        weakref.finalize(self, self._file.close)

    @property
    def count(self) -> int:
        """The number of rows that are there whole."""
        return os.fstat(self._file.fileno()).st_size // self.row_bytes

    def is_at(self, path: Path) -> bool:
        """Whether this path still names this file."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.stat())
        except FileNotFoundError:
            return False

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The rows of these numbers, int [N], as [N, *shape].

        Raises:
            RunError: The file is too short.
        """
        values = np.empty((len(rows), *self.shape), self.dtype)  # [N, ...]
        flat = memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        for start, end in self._runs(rows):
            piece = flat[start * self.row_bytes : end * self.row_bytes]
            if self._file.read_at(int(rows[start]) * self.row_bytes, piece) < len(piece):
                raise self._truncated()
        return values

    def write(self, row: int, values: np.ndarray) -> None:
        """Writes rows [N, *shape] from this number on, over what a killed process has left there.

        Raises:
            RunError: Rows before this one are missing.
        """
        rows = np.ascontiguousarray(values, self.dtype).reshape(len(values), *self.shape)
        left = memoryview(rows.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        if self.count < row:
            raise self._truncated()
        with self._file.position:
            self._file.seek(row * self.row_bytes)
            while left:
                left = left[self._file.write(left) :]

    def sync(self) -> None:
        """Waits until the rows are on the disk."""
        getattr(os, "fdatasync", os.fsync)(self._file.fileno())

    def _runs(self, rows: np.ndarray) -> Iterator[tuple[int, int]]:
        """Start and end of each run of consecutive numbers, which takes one call to read."""
        if not len(rows):
            return
        starts = np.diff(rows, prepend=rows[0]) != 1
        starts[:: max(1, _READ_BYTES // self.row_bytes)] = True
        edges = [*np.flatnonzero(starts).tolist(), len(rows)]
        yield from pairwise(edges)

    def _truncated(self) -> RunError:
        clear = command("cache", "clear", "--kind", self.path.parent.parent.name)
        return RunError(f'"{self.path}" is truncated; remove it with `{clear}`.')
