"""Folds by content: every image tests once, and the same images always have the same folds."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerascnn.engine.data.splits.near import near_copies
from kerascnn.engine.data.store.packed import Data, Packed, Pooled
from kerascnn.errors import InputError
from kerascnn.runtime.text import counted

Group = np.ndarray
"""The rows of an image and of its copies, int [G]."""


@dataclass(frozen=True)
class Folds:
    """The images of a dataset in folds.

    Args:
        pooled: All images.
        count: Number of folds, K.
        groups: The groups of copies of each class; one that has images of several classes belongs
            to that of its first image.
        fold: Of each image, 0 to K - 1: int [N].
        number: Another number has other folds.
    """

    pooled: Pooled
    count: int
    groups: Sequence[Sequence[Group]]
    fold: np.ndarray
    number: int = 0

    def rows(self, fold: int) -> np.ndarray:
        """The images that a fold tests: int [M]."""
        return np.flatnonzero(self.fold == fold)

    def data(self, fold: int) -> Data:
        """The splits of a fold: it is tested, a share of each class in the others validates."""
        images, pooled = self.pooled.images, self.pooled
        validating = np.zeros(len(images), np.bool_)
        for groups in self.groups:
            others = [group for group in groups if self.fold[group[0]] != fold]
            validating[self._validating(others)] = True
        rows = {
            "train": np.flatnonzero((self.fold != fold) & ~validating),
            "validation": np.flatnonzero(validating),
            "test": self.rows(fold),
        }
        if empty := [split for split, chosen in rows.items() if not len(chosen)]:
            raise InputError(
                f"too few images for {self.count} folds: of {counted(len(images), 'image')}, "
                f"counting copies once, none is left for the {empty[0]} split of a fold. Add "
                "images, or take fewer folds."
            )
        images = replace(images, skipped=())  # no fold's own
        splits = {split: images.at(chosen) for split, chosen in rows.items()}
        return Data(
            **splits,
            class_names=pooled.class_names,
            ignored=pooled.ignored,
            seconds=pooled.seconds,
            changes=None,
        )

    def _validating(self, groups: Sequence[Group]) -> list[int]:
        """The first of some groups of a class; at least one of two or more, never all.

        The order is the same for all folds, so that most images that validate do so in all.
        """
        share = self.pooled.validation_share * sum(map(len, groups))
        ordered = sorted(groups, key=lambda group: self._position("validation", group))
        taken = list[int]()
        for number, group in enumerate(ordered[:-1]):
            if number and len(taken) + len(group) / 2 > share:
                break
            taken += group.tolist()
        return taken

    def _position(self, what: str, group: Group) -> bytes:
        return _position(self.pooled.images, what, self.number, group)

    @property
    def notes(self) -> Iterator[str]:
        """What the classes with few images cannot have."""
        counts = zip(self.pooled.class_names, map(len, self.groups), strict=True)
        few = {name: count for name, count in counts if 0 < count < self.count}
        if few:
            named = ", ".join(f"{name} {count}" for name, count in few.items())
            yield (
                f"fewer images than the {self.count} folds (copies count once): {named}. Each is "
                "still tested once, but some folds test none of these classes."
            )
        if alone := [name for name, count in few.items() if count == 1]:
            yield (
                f"the network that tests {', '.join(alone)} has never seen it: all its images are "
                "copies of one. Add others, or leave the class out."
            )


def draw_folds(pooled: Pooled, count: int, number: int = 0) -> Folds:
    """Divides all images into folds by their content, those of each class evenly.

    The images of a class are ordered by a hash of their content, and each fold has its share of
    that order, to within one. Adding an image therefore moves at most one of its class across each
    border between two folds. Copies, also mirrored, resized or re-saved ones, have the same fold.
    Neither the experiment nor its seed decides anything, so two experiments on the same images have
    the same folds.

    Args:
        pooled: The images.
        count: Number of folds, 2 to that of the images.
        number: Another number draws other folds.
    """
    images, names = pooled.images, pooled.class_names
    groups: list[list[Group]] = [[] for _ in names]
    for group in copies_together(images, names):
        groups[images.labels[group[0]]].append(group)
    fold = np.empty(len(images), np.int64)
    for name, of_class in zip(names, groups, strict=True):
        ordered = sorted(of_class, key=lambda group: _position(images, "fold", number, group))
        ends = np.cumsum([len(group) for group in ordered])
        # each class begins elsewhere, or the first folds would have none of the small ones
        start = int.from_bytes(_hashed(f"start {number} {name}".encode())[:8]) / 2**64
        for group, end in zip(ordered, ends, strict=True):
            middle = (end - len(group) / 2) / ends[-1]
            fold[group] = int(count * ((middle + start) % 1))
    return Folds(pooled, count, groups, fold, number)


def copies_together(images: Packed, class_names: Sequence[str]) -> list[Group]:
    """All images in groups of those that are equal or nearly equal, each by its content."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    contents = [content.tobytes().hex() for content in images.contents]
    labels = [class_names[label] for label in images.labels]
    row_of = {content: row for row, content in enumerate(contents)}
    near = near_copies(images.source, list(zip(contents, labels, strict=True)))
    digests = [digest.tobytes() for digest in images.digests]
    first = {digest: row for row, digest in enumerate(digests)}
    pairs = [(row, row_of[content]) for row, content in enumerate(contents)]
    pairs += [(row, first[digest]) for row, digest in enumerate(digests)]
    pairs += [(row_of[one], row_of[other]) for one, other in near]
    edges = np.array(pairs).T  # [2, E]
    graph = coo_array((np.ones(len(pairs)), edges), shape=(len(images), len(images)))
    _, numbers = connected_components(graph, directed=False)
    groups = defaultdict[int, list[int]](list)
    for row in sorted(range(len(images)), key=contents.__getitem__):
        groups[numbers[row]].append(row)
    return [np.array(rows) for rows in groups.values()]


def _position(images: Packed, what: str, number: int, group: Group) -> bytes:
    return _hashed(f"{what} {number} ".encode() + images.contents[group[0]].tobytes())


def _hashed(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
