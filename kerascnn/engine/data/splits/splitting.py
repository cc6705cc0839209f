"""Divides images into splits by their content: the same images always give the same splits."""

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain

_SPLITS = (
    dict.fromkeys(("train", "training"), "train")
    | dict.fromkeys(("validation", "valid", "val"), "validation")
    | dict.fromkeys(("test", "testing"), "test")
)
Group = list[str]
"""Contents that go to the same split."""


def split_named(name: str) -> str | None:
    """The split that a folder, a file or a cell of a table named so is; None if it is not one.

    Such as "validation" for "val".
    """
    return _SPLITS.get(name.strip().lower())


def draw_splits(
    images: Iterable[tuple[str, str]],
    shares: Mapping[str, float],
    split_seed: int,
    near: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """Assigns each content to a split, dividing every class as evenly as possible.

    The contents of a class are ordered by a hash, and each split takes its share of that order,
    to within one, or 1.5 beside a split whose share is less than half a content. Adding a content
    therefore moves at most one across each border between splits, and every split gets one of a
    class with at least as many contents as splits.
    Contents with several labels are divided as a class of their own.

    Near copies with the same labels stay together as a group. Groups come after single contents,
    the largest last, so they go to "train" if the others are enough for the other splits. The
    largest group is only broken up in a class with fewer groups than splits.

    Args:
        images: Pairs of content hash (any text) and class name; a repeated content counts once.
        shares: The splits to draw, each with its share, 0 to 1; the rest is "train".
        split_seed: Another number gives another order.
        near: Pairs of nearly equal contents, as `near_copies` finds them.

    Returns:
        The split of each content hash.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    for content, label in images:
        labels[content].add(label)
    ordered = sorted(labels, key=lambda content: position(content, split_seed))
    classes: dict[frozenset[str], list[Group]] = defaultdict(list)
    for group in _groups({content: labels[content] for content in ordered}, near):
        classes[frozenset(labels[group[0]])].append(group)
    return {
        content: split
        for groups in classes.values()
        for split, contents in _divided(groups, shares, split_seed).items()
        for content in contents
    }


def position(content: str, split_seed: int) -> bytes:
    return hashlib.sha256(f"{split_seed} {content}".encode()).digest()


def _groups(labels: Mapping[str, set[str]], near: Iterable[tuple[str, str]]) -> Iterable[Group]:
    """The contents, grouped where pairs with the same labels connect them."""
    above = {content: content for content in labels}

    def root(content: str) -> str:
        while above[content] != content:
            above[content] = content = above[above[content]]
        return content

    for one, other in near:
        if labels[one] == labels[other]:
            above[root(one)] = root(other)
    groups: dict[str, Group] = defaultdict(list)
    for content in labels:
        groups[root(content)].append(content)
    return groups.values()


def _divided(
    groups: list[Group], shares: Mapping[str, float], split_seed: int
) -> dict[str, list[str]]:

    def order(group: Group) -> tuple[int, bytes]:
        return len(group), position(min(group), split_seed)

    groups = sorted(groups, key=order)
    while len(groups) <= len(shares) and len(groups[-1]) > 1:
        *others, (first, *rest) = groups
        groups = sorted([*others, [first], rest], key=order)
    ranges = _ranges(list(map(len, groups)), shares)
    return {split: list(chain(*groups[start:end])) for split, (start, end) in ranges.items()}


def _ranges(sizes: Sequence[int], shares: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """Start and end of each split among the ordered groups of a class.

    A group belongs to the split that contains its middle. Adding a group of one moves each end by
    0 or 1.
    """
    middles = [end - size / 2 for end, size in zip(accumulate(sizes), sizes, strict=True)]
    count, total = len(sizes), sum(sizes)
    ranges, end, share = {}, 0, 0.0
    for later, split in zip(range(len(shares), 0, -1), shares, strict=True):
        start, share = end, share + shares[split]
        end = max(0, min(max(bisect_right(middles, share * total), start + 1), count - later))
        ranges[split] = (start, end)
    return {**ranges, "train": (end, count)}
