"""Divides images into splits by their content, so that the same images are always divided alike."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping


def draw_splits(
    images: Iterable[tuple[str, str]], shares: Mapping[str, float], split_seed: int
) -> dict[str, str]:
    """Assigns each content to a split so that every class is divided as evenly as it can be.

    The contents of a class are ordered by a hash, and each split takes its share of that order,
    to within one. Adding a content therefore moves at most one across each border between
    splits, and every split gets one of a class that has as many contents as there are splits.
    Contents with several labels are divided like a class of their own.

    Args:
        images: Pairs of content hash and class name; a content that is repeated counts once.
        shares: The splits to draw, each with its share, 0 to 1; the rest is "train".
        split_seed: Another number orders the contents differently.

    Returns:
        Content hash to split.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    for content, label in images:
        labels[content].add(label)
    classes: dict[frozenset[str], list[str]] = defaultdict(list)
    for content in sorted(labels, key=lambda content: _position(content, split_seed)):
        classes[frozenset(labels[content])].append(content)
    return {
        content: split
        for contents in classes.values()
        for split, (start, end) in _ranges(len(contents), shares).items()
        for content in contents[start:end]
    }


def _position(content: str, split_seed: int) -> bytes:
    return hashlib.sha256(f"{split_seed} {content}".encode()).digest()


def _ranges(count: int, shares: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """Start and end of each split among a class's contents in order.

    Each end is a function of the count that grows by 0 or 1 when the count grows by 1.
    """
    ranges, end, share = {}, 0, 0.0
    for later, split in zip(range(len(shares), 0, -1), shares, strict=True):
        start, share = end, share + shares[split]
        rounded = math.floor(share * count + 0.5)
        end = max(0, min(max(rounded, start + 1), count - later))
        ranges[split] = (start, end)
    return {**ranges, "train": (end, count)}
