"""Images that a dataset holds twice: the same ones, and those that are nearly the same."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np

from kerascnn.engine.data.depth import SMALL, Range
from kerascnn.engine.data.hashes import (
    MAX_PAIRS,
    NEAR_BITS,
    close,
    sampled,
    structured,
    unlikely,
    variants,
)
from kerascnn.engine.data.packed import Packed
from kerascnn.runtime.text import listed

LISTED = 1000  # findings of a kind that are written down, the others counted


Place = tuple[str, int]  # split and row
Rows = list[Place]


class Image(NamedTuple):
    """One of the images that a finding is about."""

    split: str
    row: int
    name: str
    label: str


@dataclass(frozen=True)
class Findings:
    """What was found wrong with the images of a dataset and does not stop a run.

    Args:
        duplicates: Pairs of equal images in different splits.
        near_duplicates: Pairs of nearly equal images in different splits.
        conflicting: Pairs of equal images with different labels.
        skipped: By split, the images that are left out, each with the reason.
        ignored: What was found besides the images, and how often.
        counts: How many of each there are, for no more than 1,000 are listed.
        depth: What there is to say of images that have more than 8 bits a value.
    """

    duplicates: list[list[Image]] = field(default_factory=list)
    near_duplicates: list[list[Image]] = field(default_factory=list)
    conflicting: list[list[Image]] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    depth: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        pairs = {
            name: [[image._asdict() for image in pair] for pair in getattr(self, name)]
            for name in KINDS
        }
        rest = {"skipped": self.skipped, "ignored": self.ignored, "depth": self.depth}
        return {"counts": self.counts, **pairs, **rest}

    def note(self, name: str) -> str:
        """What there is to say of "duplicates", "near_duplicates" or "conflicting"."""
        pairs = getattr(self, name)
        return listed(f"{{}} {KINDS[name]}", map(told, pairs), self.counts[name], noun="pair")

    def notes(self) -> Iterator[str]:
        """What there is to say of them to people."""
        if self.ignored:
            counts = sorted(self.ignored.items(), key=lambda item: -item[1])
            yield "ignored: " + ", ".join(f"{count:,} {what}" for what, count in counts)
        if self.skipped:
            lines = [f"{split}: {one}" for split, some in self.skipped.items() for one in some]
            yield listed("{} left out", lines, self.counts["skipped"])
        yield from self.depth
        yield from (self.note(name) for name in KINDS if getattr(self, name))
        if pairs := self.counts.get("not_compared"):
            yield f"not looked for images nearly in two splits: {pairs:,} pairs are too many"


KINDS = {
    "duplicates": "of equal images in two splits, which flatter the accuracy",
    "near_duplicates": "of nearly equal images in two splits, as if cropped, flipped or saved "
    "again",
    "conflicting": "of equal images under two labels",
}
"""What is said of the pairs that are found of each kind."""


def told(pair: Iterable[Image]) -> str:
    """A pair in a line, with the labels where they differ."""
    first, second = pair
    labels = ("", "")
    if first.label != second.label:
        labels = (f" ({first.label})", f" ({second.label})")
    return f"{first.split}: {first.name}{labels[0]} = {second.split}: {second.name}{labels[1]}"


def examine(
    splits: Mapping[str, Packed], class_names: tuple[str, ...], ignored: Mapping[str, int]
) -> Findings:
    """Looks at the images of all splits, which are named in the order of the pairs."""
    groups = list(equal_groups(splits))
    found: dict[str, list[Rows]] = {
        "duplicates": [pair for group in groups for pair in _neighbours(group, splits_of(group))],
        "near_duplicates": near_pairs(splits),
        "conflicting": [
            pair
            for group in groups
            for pair in _neighbours(group, [splits[s].labels[row] for s, row in group])
        ],
    }
    skipped = {name: list(packed.skipped) for name, packed in splits.items() if packed.skipped}
    return Findings(
        **{
            name: [[_image(splits, class_names, place) for place in pair] for pair in pairs]
            for name, pairs in ((name, pairs[:LISTED]) for name, pairs in found.items())
        },
        skipped={name: faults[:LISTED] for name, faults in skipped.items()},
        ignored=dict(ignored),
        depth=list(told_of_range(splits)),
        counts={
            **{name: len(pairs) for name, pairs in found.items()},
            "skipped": sum(map(len, skipped.values())),
            "ignored": sum(ignored.values()),
            "not_compared": sum(
                len(a) * len(b) for a, b in combinations(splits.values(), 2) if _too_many(a, b)
            ),
        },
    )


def _image(splits: Mapping[str, Packed], class_names: tuple[str, ...], place: Place) -> Image:
    split, row = place
    packed = splits[split]
    return Image(split, row, packed.name(row), class_names[packed.labels[row]])


def splits_of(group: Rows) -> list[str]:
    return [split for split, _ in group]


def _neighbours(group: Rows, keys: Iterable[Any]) -> Iterator[Rows]:
    """The first of each key, each with that of the next key."""
    first: dict[Any, Place] = {}
    for place, key in zip(group, keys, strict=True):
        first.setdefault(key, place)
    return map(list, pairwise(first.values()))


def equal_groups(splits: Mapping[str, Packed]) -> Iterator[Rows]:
    """The images that are equal after preparation, in groups of two and more."""
    heads = {
        split: packed.digests[:, :8].copy().view(np.uint64)[:, 0]
        for split, packed in splits.items()
    }
    ordered = np.sort(np.concatenate(list(heads.values())))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    groups: dict[bytes, Rows] = defaultdict(list)
    for split, packed in splits.items():
        for row in np.flatnonzero(np.isin(heads[split], repeated)).tolist():
            groups[packed.digests[row].tobytes()].append((split, row))
    return (group for group in groups.values() if len(group) > 1)


def copies(splits: Mapping[str, Packed]) -> dict[str, dict[int, str]]:
    """By split, the rows of images that stand in a later split too, and in which."""
    order, found = list(splits), defaultdict[str, dict[int, str]](dict)
    for group in equal_groups(splits):
        last = max(splits_of(group), key=order.index)
        for split, row in group:
            if split != last:
                found[split][row] = last
    return found


def near_pairs(splits: Mapping[str, Packed]) -> list[Rows]:
    """Images in different splits that are nearly but not quite the same, also if flipped."""
    found = []
    for one, other in combinations(splits, 2):
        a, b = splits[one], splits[other]
        if _too_many(a, b):
            continue
        rows, twins = structured(a.hashes), structured(b.hashes)
        if not len(rows) or not len(twins):
            continue
        hashes, others = np.asarray(a.hashes)[rows], np.asarray(b.hashes)[twins]
        plain = np.split(hashes, 2, axis=1)[0]
        limit = min(NEAR_BITS, unlikely(sampled(plain, others)))
        pairs = {pair for variant in variants(others) for pair in close(plain, variant, limit)}
        found += [
            [(one, int(rows[row])), (other, int(twins[twin]))]
            for row, twin in sorted(pairs)
            if a.digests[rows[row]].tobytes() != b.digests[twins[twin]].tobytes()
        ]
    return found


def _too_many(a: Packed, b: Packed) -> bool:
    return len(a) * len(b) > MAX_PAIRS


def told_of_range(splits: Mapping[str, Packed]) -> Iterator[str]:
    """Notes on images that use a small part of their range, or more than what the setting says."""
    found = [
        (peak, packed.name(row), packed.value_range)
        for packed in splits.values()
        for row in np.flatnonzero(packed.peaks).tolist()
        if _is_off(peak := float(packed.peaks[row]), packed.value_range)
    ]
    if not found:
        return
    peak, name, value_range = max(found)
    of = f"{len(found):,} image{'s' if len(found) > 1 else ''} with more than 8 bits a value"
    if value_range:
        yield (
            f"{of}: values above {value_range[1]:g} become white, such as {peak:g} in {name}. A "
            "greater training.value_range keeps them."
        )
        return
    high = 2 ** int(peak).bit_length() - 1
    yield (
        f"{of}: their values reach {peak:,.0f} of 65,535 at most, so that they are nearly black, "
        f"such as {name}. If white is {high} in them, set training.value_range = [0, {high}]."
    )


def _is_off(peak: float, value_range: Range | None) -> bool:
    return peak > value_range[1] if value_range else peak < SMALL
