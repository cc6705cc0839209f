"""Finds rows by their keys, in a file of keys that only grows."""

from threading import Lock

import numpy as np

from kerascnn.runtime.rows.file import RowFile

_BLOCK = 2**16  # keys read at once
_GROWTH = 4  # each level has more than this many times the rows of the next one

Level = tuple[np.ndarray, np.ndarray]


def prefixes(keys: np.ndarray) -> np.ndarray:
    """The first 8 bytes of keys, uint8 [N, 32], as uint64 [N]."""
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64)[:, 0]


class RowIndex:
    """The places of keys in their file; several threads may use it at once.

    It holds 12 bytes a row: prefix and place, in levels sorted by prefix (a log-structured merge
    tree, O'Neil et al. 1996), so that adding a row costs about the same for any number of rows.
    """

    def __init__(self, keys: RowFile) -> None:
        self._keys, self._lock, self._count = keys, Lock(), 0
        self._levels: tuple[Level, ...] = ()

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The places of keys, uint8 [N, 32], as int64 [N]; -1 where there is none."""
        self._refresh()
        places, wanted = np.full(len(keys), -1), prefixes(keys)
        for stored, at_place in self._levels:
            at = np.searchsorted(stored, wanted)
            while True:  # more than once only where prefixes are equal and keys are not
                same = (places < 0) & (stored.take(at, mode="clip") == wanted) & (at < len(stored))
                rows = np.flatnonzero(same)
                if not len(rows):
                    break
                found = at_place[at[rows]]
                whole = (self._keys.read(found) == keys[rows]).all(1)
                places[rows[whole]] = found[whole]
                at[rows] += 1
        return places

    def _refresh(self) -> None:
        """Reads the keys that were added since the last time, by any process."""
        with self._lock:
            count = self._keys.count
            while self._count < count:
                places = np.arange(self._count, min(count, self._count + _BLOCK), dtype=np.uint32)
                added = _sorted(prefixes(self._keys.read(places)), places)
                self._levels = _merged((*self._levels, added))
                self._count += len(places)


def _sorted(prefixes: np.ndarray, places: np.ndarray) -> Level:
    order = np.argsort(prefixes, kind="stable")
    return prefixes[order], places[order]


def _merged(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    while len(levels) > 1 and len(levels[-2][0]) <= _GROWTH * len(levels[-1][0]):
        both = (np.concatenate(parts) for parts in zip(*levels[-2:], strict=True))
        levels = (*levels[:-2], _sorted(*both))
    return levels
