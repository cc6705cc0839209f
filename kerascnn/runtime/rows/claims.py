"""Which rows of a store are being computed, and by whom."""

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

import numpy as np
from filelock import FileLock

from kerascnn.runtime.cache import is_held


class Claims:
    """The rows that a filler of a store is computing, each by the first 8 bytes of its key.

    Each filler has a file of them, and holds a lock that the operating system releases when the
    process dies. Of its methods only `release` may be called without the lock of the store's entry.

    Args:
        folder: That of all claims on the store.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.urandom(8).hex()}.lock"
        self._lock = FileLock(self._path, thread_local=False)
        self._lock.acquire()
        self._file = FileIO(_rows(self._path), "w")
        self._own: set[int] = set()

    def others(self) -> set[int]:
        """The rows that other fillers are computing; forgets those that have died."""
        found = set[int]()
        for lock in self._path.parent.glob("*.lock"):
            if lock == self._path:
                continue
            if is_held(lock):
                found.update(np.fromfile(_rows(lock), np.uint64).tolist())
            else:
                _remove(lock)
        return found

    def add(self, rows: np.ndarray, others: set[int]) -> np.ndarray:
        """Claims rows, uint64 [N], that are not claimed; which, bool [N]."""
        free = np.zeros(len(rows), bool)
        for number, row in enumerate(rows.tolist()):
            if row not in self._own and row not in others:
                self._own.add(row)
                free[number] = True
        self._file.write(rows[free].tobytes())
        return free

    def drop(self, rows: np.ndarray) -> None:
        """Gives up rows, uint64 [N]."""
        self._own.difference_update(rows.tolist())
        self._write()

    def clear(self) -> None:
        """Gives up all rows, until more are claimed."""
        self._own.clear()
        self._write()

    def release(self) -> None:
        """Gives up all rows for good."""
        self._file.close()
        self._lock.release()
        _remove(self._path)

    def _write(self) -> None:
        self._file.seek(0)
        self._file.write(np.array([*self._own], np.uint64).tobytes())
        self._file.truncate()


def _rows(lock: Path) -> Path:
    return lock.with_suffix(".rows")


def _remove(lock: Path) -> None:
    with suppress(OSError):  # on Windows, whoever asks whether it is held has it open
        _rows(lock).unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
