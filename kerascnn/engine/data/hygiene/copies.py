"""Images that stand in a dataset twice: equal ones, and near copies in two splits."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Protocol

import numpy as np

from kerascnn.engine.data.decoding.hashes import (
    MAX_PAIRS,
    NEAR_BITS,
    close,
    sampled,
    structured,
    unlikely,
    variants,
)
from kerascnn.engine.data.store.packed import Packed

Place = tuple[str, int]
"""Split and row of an image."""
Group = list[Place]


class Hashed(Protocol):
    """Images with their perceptual hashes uint64 [N, 8] and the digests [N, D] of their pixels."""

    @property
    def hashes(self) -> np.ndarray: ...

    @property
    def digests(self) -> np.ndarray: ...


_REMEMBERED = 16  # pairs of splits
_near: OrderedDict[tuple[str, str], list[tuple[int, int]]] = OrderedDict()
"""By the keys of two splits, what `near_rows` found: a study looks at the same images often."""


def equal_groups(splits: Mapping[str, Packed]) -> Iterator[Group]:
    """The images that are equal after preparation, in groups of two or more."""
    heads = {
        split: packed.digests[:, :8].copy().view(np.uint64)[:, 0]
        for split, packed in splits.items()
    }
    ordered = np.sort(np.concatenate(list(heads.values())))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    groups: dict[bytes, Group] = defaultdict(list)
    for split, packed in splits.items():
        for row in np.flatnonzero(np.isin(heads[split], repeated)).tolist():
            groups[packed.digests[row].tobytes()].append((split, row))
    return (group for group in groups.values() if len(group) > 1)


def copies(splits: Mapping[str, Packed]) -> dict[str, dict[int, str]]:
    """By split, the rows of images that are in a later split too, and in which."""
    order, found = list(splits), defaultdict[str, dict[int, str]](dict)
    for group in equal_groups(splits):
        last = max((split for split, _ in group), key=order.index)
        for split, row in group:
            if split != last:
                found[split][row] = last
    return found


def near_pairs(splits: Mapping[str, Packed]) -> list[Group]:
    """Images in different splits that are nearly but not quite the same, also if flipped."""
    return [
        [(one, row), (other, twin)]
        for one, other in combinations(splits, 2)
        for row, twin in _remembered(splits[one], splits[other])
    ]


def _remembered(a: Packed, b: Packed) -> list[tuple[int, int]]:
    if not_compared(a, b):
        return []
    keys = (a.key, b.key)
    if keys not in _near:
        _near[keys] = near_rows(a, b)
        while len(_near) > _REMEMBERED:
            _near.popitem(last=False)
    return _near[keys]


def near_rows(a: Hashed, b: Hashed) -> list[tuple[int, int]]:
    """The rows of images of two splits that are nearly but not quite the same, also if flipped."""
    rows, twins = structured(a.hashes), structured(b.hashes)
    if not len(rows) or not len(twins):
        return []
    hashes, others = np.asarray(a.hashes)[rows], np.asarray(b.hashes)[twins]
    plain = np.split(hashes, 2, axis=1)[0]
    limit = min(NEAR_BITS, unlikely(sampled(plain, others)))
    found = {pair for variant in variants(others) for pair in close(plain, variant, limit)}
    pairs = [(int(rows[row]), int(twins[twin])) for row, twin in sorted(found)]
    return [(row, twin) for row, twin in pairs if (a.digests[row] != b.digests[twin]).any()]


def not_compared(a: Packed, b: Packed) -> int:
    """The pairs of images of two splits if they are too many to be compared, else 0."""
    pairs = len(a) * len(b)
    return pairs if pairs > MAX_PAIRS else 0
