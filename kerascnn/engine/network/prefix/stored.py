"""Activations on the disk: found in the cache, or there only while they are in use."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.runtime.cache import scratch
from kerascnn.runtime.rows.store import RowStore

IN_MEMORY_BYTES = 2**30
"""Activations up to this size are read into memory; larger ones when they are used."""


class StoredRows:
    """Rows of a store, indexed like an array [N, ...]."""

    def __init__(
        self,
        store: RowStore,
        column: str,
        places: np.ndarray,
        dtype: np.dtype,
        shape: tuple[int, ...],
    ) -> None:
        self._store, self._column, self._places = store, column, places
        self.dtype, self.shape = dtype, (len(places), *shape)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The row [...] at an int, or those [B, ...] at a slice or an array of ints."""
        places = self._places[rows]
        read = self._store.read(self._column, np.atleast_1d(places))
        return read.reshape(*places.shape, *self.shape[1:])

    def in_memory(self) -> Any:
        """All of them as an array, unless they are large."""
        return self if self.nbytes > IN_MEMORY_BYTES else self[:]


def scratch_rows(
    kind: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    pieces: Iterable[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """An array [N, ...] of rows that come in any order, in a file that is removed once closed."""
    with scratch(kind) as folder:
        file = folder / "rows.npy"
        with _RowsFile(file, shape, dtype) as written:
            for rows, values in pieces:
                written.write(rows, values)
        mapped = file.stat().st_size > IN_MEMORY_BYTES
        return np.load(file, mmap_mode="r" if mapped else None).view(dtype)


class _RowsFile:
    """An .npy file whose rows are written in any order, without keeping pages mapped."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        self._offset, self._row_bytes = array.offset, array.strides[0]
        self._file = path.open("r+b")

    def __enter__(self) -> "_RowsFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        for row, value in zip(rows, values, strict=True):
            self._file.seek(self._offset + int(row) * self._row_bytes)
            self._file.write(value.tobytes())
