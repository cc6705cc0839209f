"""Which rows of a store are being computed, and by whom."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

CLAIMS = "claims"  # their folder in an entry


class Claims:
    """The rows that a filler of a store is computing; each is known by its key's first 8 bytes.

    Each filler has a file of them, and holds a lock that the operating system releases when the
    process dies. Whoever calls a method but `release` holds the lock of the store's entry.

    Args:
        folder: That of all claims on the store.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / f"{os.urandom(8).hex()}.lock", thread_local=False)
        self._lock.acquire()
        self._own = np.empty(0, np.uint64)

    def others(self) -> np.ndarray:
        """The rows that others are computing, uint64 [N]; forgets fillers that have died."""
        found = [np.empty(0, np.uint64)]
        for lock in self._path.parent.glob("*.lock"):
            if lock == self._path:
                continue
            if not _is_held(lock):
                _remove(lock)
            elif (file := _file(lock)).exists():
                found.append(np.fromfile(file, np.uint64))
        return np.concatenate(found)

    def add(self, rows: np.ndarray) -> None:
        """Claims these rows too, uint64 [N]."""
        self._set(np.concatenate([self._own, rows]))

    def drop(self, rows: np.ndarray) -> None:
        """Gives up these rows, uint64 [N]."""
        self._set(self._own[~np.isin(self._own, rows)])

    def release(self) -> None:
        """Gives up all rows."""
        self._lock.release()
        _remove(self._path)

    def _set(self, rows: np.ndarray) -> None:
        self._own = rows
        rows.tofile(_file(self._path))

    @property
    def _path(self) -> Path:
        return Path(self._lock.lock_file)


def are_claimed(entry: Path) -> bool:
    """Whether a living process fills an entry of the cache; hold the entry's lock."""
    return any(_is_held(lock) for lock in (entry / CLAIMS).glob("*.lock"))


def _is_held(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _file(lock: Path) -> Path:
    return lock.with_suffix(".rows")


def _remove(lock: Path) -> None:
    with suppress(OSError):  # on Windows, whoever asks whether it is held has it open
        _file(lock).unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
