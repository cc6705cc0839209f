"""The images of an update: old ones keep their split, new ones are divided by the same shares."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.hygiene.copies import near_rows
from kerascnn.engine.data.splits.divided import SPLITS, Divided
from kerascnn.engine.data.splits.splitting import position
from kerascnn.engine.data.store.changes import Changes, NewLabel
from kerascnn.engine.data.store.packed import Packed
from kerascnn.errors import InputError

TRAIN, VALIDATION, TEST = range(len(SPLITS))
UNKNOWN = -1


@dataclass(frozen=True)
class Before:
    """What an earlier run knows.

    Args:
        run: Its id.
        images: Its images.
        class_names: Of its labels.
    """

    run: str
    images: Divided
    class_names: Sequence[str]

    def shares(self) -> dict[int, float]:
        """The shares of the splits that evaluate."""
        counts = np.bincount(self.images.splits, minlength=len(SPLITS)) / len(self.images)
        return {split: float(counts[split]) for split in (TEST, VALIDATION)}


@dataclass(frozen=True)
class Gathered:
    """All images of an update, before they are divided.

    Args:
        images: Those of the dataset, then those of each further folder.
        origin: Of each the split of the dataset that it is in, as in `SPLITS`; from 3 on the number
            of its folder: int64 [N].
        folders: The names of the folders.
        class_names: Of the labels.
        split_seed: Another number divides the images of folders otherwise.
    """

    images: Packed
    origin: np.ndarray
    folders: Sequence[str]
    class_names: Sequence[str]
    split_seed: int = 0


@dataclass(frozen=True)
class Renewed:
    """The images of an update, divided.

    Args:
        split: Of each the index in `SPLITS`: int64 [N].
        changes: What its run did not have.
    """

    images: Packed
    split: np.ndarray
    changes: Changes

    def splits(self) -> dict[str, Packed]:
        return {
            name: self.images.at(np.flatnonzero(self.split == at)) for at, name in enumerate(SPLITS)
        }


def renew(gathered: Gathered, before: Before) -> Renewed:
    """Divides the images of an update.

    An image of the earlier run keeps its split, whatever its file is called and wherever the
    dataset would put it. A new image has the split that the dataset gives it; those of folders are
    drawn, class by class, so that the shares of the earlier run hold. A copy or near copy of an
    image that evaluates evaluates with it.

    Raises:
        InputError: A folder gives an image two labels, or a class of the earlier run is gone.
    """
    rows, labels = _labelled(gathered)
    images = gathered.images.relabelled(labels).at(rows)
    origin, found = gathered.origin[rows], before.images.find(images)
    _check_classes(images, found, before, gathered.class_names)
    split = np.where(found >= 0, before.images.splits[found].astype(np.int64), UNKNOWN)
    kept = ~_moved_copies(images, origin, split)
    images, found, split = images.at(np.flatnonzero(kept)), found[kept], split[kept]
    _divide(images, origin[kept], split, before.shares(), gathered.split_seed)
    return Renewed(images, split, _changes(images, found, split, before, gathered.class_names))


def _labelled(gathered: Gathered) -> tuple[np.ndarray, np.ndarray]:
    """The rows to keep, each image of a folder once, and the labels of all rows.

    An image that a folder has too has the label that it has there.
    """
    images, origin = gathered.images, gathered.origin
    labels, kept = images.labels.copy(), origin < len(SPLITS)
    known = defaultdict[bytes, list[int]](list)
    digests = [digest.tobytes() for digest in images.digests]
    for row in np.flatnonzero(kept).tolist():
        known[digests[row]].append(row)
    said = dict[tuple[bytes, int], int]()
    for row in np.flatnonzero(~kept).tolist():
        folder = int(origin[row])
        first = said.setdefault((digests[row], folder), row)
        if images.labels[row] != images.labels[first]:
            raise InputError(_two_labels(gathered, first, row))
        if digests[row] in known:
            labels[known[digests[row]]] = images.labels[row]
        else:
            known[digests[row]].append(row)
            kept[row] = True
    return np.flatnonzero(kept), labels


def _two_labels(gathered: Gathered, first: int, row: int) -> str:
    images, names = gathered.images, gathered.class_names
    both = [f"{images.name(one)} ({names[images.labels[one]]})" for one in (first, row)]
    folder = gathered.folders[int(gathered.origin[row]) - len(SPLITS)]
    return f'"{folder}" has an image under two labels: {" and ".join(both)}. Remove one of them.'


def _check_classes(
    images: Packed, found: np.ndarray, before: Before, class_names: Sequence[str]
) -> None:
    """Raises InputError if a class of the earlier run has another name or no images now."""
    present = set(images.labels.tolist())
    for label, name in enumerate(before.class_names):  # the first of `class_names`
        known = images.labels[(found >= 0) & (before.images.labels[found] == label)]
        most = int(np.bincount(known).argmax()) if len(known) else label
        if most >= len(before.class_names) and label not in known:
            what = f'is called "{class_names[most]}" now: rename it back'
        elif label not in present:
            what = "has no images any more: put them back"
        else:
            continue
        raise InputError(
            f'the class "{name}" of run {before.run[:8]} {what}. An update keeps the classes of '
            "its run; for other classes, train anew with `run`."
        )


def _moved_copies(images: Packed, origin: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Copies that the dataset has in another split than the image that is known: bool [N].

    They would double an image that evaluates.
    """
    digests = [digest.tobytes() for digest in images.digests]
    evaluates = split > TRAIN
    placed = {digests[row] for row in np.flatnonzero(evaluates & (origin == split)).tolist()}
    doubled = evaluates & (origin != split)
    return np.array([twice and digests[row] in placed for row, twice in enumerate(doubled)])


def _divide(
    images: Packed,
    origin: np.ndarray,
    split: np.ndarray,
    shares: Mapping[int, float],
    split_seed: int,
) -> None:
    """Fills in the splits of new images."""
    drawn = defaultdict[int, list[np.ndarray]](list)
    for group in _groups(images, split == UNKNOWN):
        new = group[split[group] == UNKNOWN]
        old = group[split[group] != UNKNOWN]
        given = origin[new][origin[new] < len(SPLITS)]
        if len(old):
            split[new] = split[old].max()
        elif len(given):
            split[new] = given.max()
        else:
            drawn[int(images.labels[new[0]])].append(new)
    for label, groups in drawn.items():
        have = np.bincount(split[(images.labels == label) & (split >= 0)], minlength=len(SPLITS))
        ordered = sorted(groups, key=lambda group: _order(images, group, split_seed))
        for group, to in zip(ordered, _draw(list(map(len, ordered)), have, shares), strict=True):
            split[group] = to


def _order(images: Packed, group: np.ndarray, split_seed: int) -> tuple[int, bytes]:
    """Single images first, in the order of a hash, as `draw_splits` has them."""
    least = min(images.contents[row].tobytes().hex() for row in group)
    return len(group), position(least, split_seed)


def _draw(sizes: Sequence[int], have: np.ndarray, shares: Mapping[int, float]) -> Iterator[int]:
    """The split of each group of a class: those that evaluate first, up to their shares.

    Args:
        sizes: Of the groups.
        have: The images that each split has already.
        shares: Of the splits that evaluate; at least one image of a class with three.
    """
    total = sum(sizes) + int(have.sum())
    least = 1 if total >= len(SPLITS) else 0
    lacks = {
        split: max(least, round(share * total)) - have[split] for split, share in shares.items()
    }
    for size in sizes:
        to = next((split for split in lacks if lacks[split] >= size), TRAIN)
        if to != TRAIN:
            lacks[to] -= size
        yield to


def _groups(images: Packed, new: np.ndarray) -> list[np.ndarray]:
    """New images with their copies and near copies, old and new ones; the rows of each group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(new)
    if not len(rows):
        return []
    first = dict[bytes, int]()
    digests = [digest.tobytes() for digest in images.digests]
    pairs = [(row, first.setdefault(digests[row], row)) for row in range(len(images))]
    pairs = [(row, other) for row, other in pairs if new[row] or new[other]]
    near = near_rows(images.at(rows), images)
    pairs += [(int(rows[row]), other) for row, other in near]
    edges = np.array(pairs).T  # [2, E]
    graph = coo_array((np.ones(len(pairs)), edges), shape=(len(images), len(images)))
    _, numbers = connected_components(graph, directed=False)
    groups = defaultdict[int, list[int]](list)
    members = np.flatnonzero(np.isin(numbers, numbers[rows]))
    for row in members.tolist():
        groups[numbers[row]].append(row)
    return [np.array(group) for group in groups.values()]


def _changes(
    images: Packed,
    found: np.ndarray,
    split: np.ndarray,
    before: Before,
    class_names: Sequence[str],
) -> Changes:
    new, labels = found < 0, [class_names[label] for label in images.labels]
    counts = {
        name: {
            of: int((new & (split == at) & (images.labels == label)).sum())
            for at, of in enumerate(SPLITS)
        }
        for label, name in enumerate(class_names)
    }
    was = [before.class_names[before.images.labels[row]] for row in found]
    relabelled = [
        NewLabel(images.name(row), SPLITS[split[row]], was[row], labels[row])
        for row in np.flatnonzero(~new).tolist()
        if was[row] != labels[row]
    ]
    present = _heads(before.images.digests[found[~new]])
    return Changes(
        new={name: of for name, of in counts.items() if any(of.values())},
        classes=[name for name in class_names if name not in before.class_names],
        relabelled=relabelled,
        gone=len(before.images) - int(np.isin(_heads(before.images.digests), present).sum()),
        new_tests=new[split == TEST],
    )


def _heads(digests: np.ndarray) -> np.ndarray:
    """The first 8 bytes of each: uint64 [N]."""
    return digests[:, :8].copy().view(np.uint64)[:, 0]
