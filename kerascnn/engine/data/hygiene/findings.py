"""What is wrong with the images of a dataset: searched for, and put into notes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np

from kerascnn.engine.data.decoding.depth import SMALL, ValueRange
from kerascnn.engine.data.hygiene.copies import Group, Place, equal_groups, near_pairs, not_compared
from kerascnn.engine.data.store.packed import Packed
from kerascnn.runtime.text import counted, itemized

LISTED = 1000  # findings of a kind that are written down; the others are only counted
PAIR_KINDS = {
    "duplicates": "of equal images in two splits, which inflate the accuracy",
    "near_duplicates": "of nearly equal images in two splits, such as cropped, flipped or re-saved "
    "copies",
    "conflicting": "of equal images with different labels",
}
"""The kinds of pairs that are found, and the words for each."""


class Image(NamedTuple):
    split: str
    row: int
    name: str
    label: str


@dataclass(frozen=True)
class Findings:
    """Faults in the images of a dataset that do not stop a run."""

    duplicates: list[list[Image]] = field(default_factory=list)  # equal, in two splits
    near_duplicates: list[list[Image]] = field(default_factory=list)  # nearly equal, in two splits
    conflicting: list[list[Image]] = field(default_factory=list)  # with two labels
    skipped: dict[str, list[str]] = field(default_factory=dict)  # by split, with reasons
    ignored: dict[str, int] = field(default_factory=dict)  # other files
    counts: dict[str, int] = field(default_factory=dict)  # of each; at most 1,000 listed
    depth: list[str] = field(default_factory=list)  # notes on values of more than 8 bits

    def to_json(self) -> dict[str, Any]:
        pairs = {
            kind: [[image._asdict() for image in pair] for pair in getattr(self, kind)]
            for kind in PAIR_KINDS
        }
        rest = {"skipped": self.skipped, "ignored": self.ignored, "depth": self.depth}
        return {"counts": self.counts, **pairs, **rest}

    def notes(self) -> Iterator[str]:
        if self.ignored:
            counts = sorted(self.ignored.items(), key=lambda item: -item[1])
            yield "ignored: " + ", ".join(f"{count:,} {what}" for what, count in counts)
        if self.skipped:
            lines = [f"{split}: {one}" for split, some in self.skipped.items() for one in some]
            yield itemized("{} left out", lines, self.counts["skipped"])
        yield from self.depth
        for kind in PAIR_KINDS:
            if pairs := getattr(self, kind):
                yield pairs_note(kind, pairs, self.counts[kind])
        if pairs := self.counts.get("not_compared"):
            yield f"near duplicates not searched: {pairs:,} pairs of images are too many to compare"


@dataclass(frozen=True)
class Examination:
    """What was found wrong with an experiment's data."""

    findings: Findings
    notes: tuple[str, ...]  # the findings, and what the data has too little of, in words


def pairs_note(kind: str, pairs: Sequence[Sequence[Image]], count: int) -> str:
    """The note on pairs of a kind: how many, and the first of them."""
    return itemized(f"{{}} {PAIR_KINDS[kind]}", map(_in_a_line, pairs), count, noun="pair")


def _in_a_line(pair: Iterable[Image]) -> str:
    """Both images, with their labels if these differ."""
    first, second = pair
    labels = ("", "")
    if first.label != second.label:
        labels = (f" ({first.label})", f" ({second.label})")
    return f"{first.split}: {first.name}{labels[0]} = {second.split}: {second.name}{labels[1]}"


def findings_in(
    splits: Mapping[str, Packed], class_names: tuple[str, ...], ignored: Mapping[str, int]
) -> Findings:
    """The faults in the images of all splits; pairs name the splits in the order given."""
    groups = list(equal_groups(splits))
    found = {
        "duplicates": duplicates(groups),
        "near_duplicates": near_pairs(splits),
        "conflicting": [
            pair
            for group in groups
            for pair in _neighbours(group, [splits[s].labels[row] for s, row in group])
        ],
    }
    skipped = {name: list(packed.skipped) for name, packed in splits.items() if packed.skipped}
    return Findings(
        **{kind: named(pairs, splits, class_names) for kind, pairs in found.items()},
        skipped={name: faults[:LISTED] for name, faults in skipped.items()},
        ignored=dict(ignored),
        depth=list(_value_range_notes(splits)),
        counts={
            **{kind: len(pairs) for kind, pairs in found.items()},
            "skipped": sum(map(len, skipped.values())),
            "ignored": sum(ignored.values()),
            "not_compared": sum(not_compared(*pair) for pair in combinations(splits.values(), 2)),
        },
    )


def duplicates(groups: Iterable[Group]) -> list[Group]:
    """The pairs of equal images in different splits, out of groups of equal ones."""
    return [pair for group in groups for pair in _neighbours(group, [split for split, _ in group])]


def named(
    pairs: Sequence[Group], splits: Mapping[str, Packed], class_names: tuple[str, ...]
) -> list[list[Image]]:
    """The first pairs, each image with its name and class."""

    def image(split: str, row: int) -> Image:
        packed = splits[split]
        return Image(split, row, packed.name(row), class_names[packed.labels[row]])

    return [[image(*place) for place in pair] for pair in pairs[:LISTED]]


def _neighbours(group: Group, keys: Iterable[Any]) -> Iterator[Group]:
    """The first image of each key, paired with that of the next key."""
    first: dict[Any, Place] = {}
    for place, key in zip(group, keys, strict=True):
        first.setdefault(key, place)
    return map(list, pairwise(first.values()))


def _value_range_notes(splits: Mapping[str, Packed]) -> Iterator[str]:
    """Notes on images that use a small part of their range, or exceed `training.value_range`."""
    found = [
        (peak, packed.name(row), packed.value_range)
        for packed in splits.values()
        for row in np.flatnonzero(packed.peaks).tolist()
        if _is_off(peak := float(packed.peaks[row]), packed.value_range)
    ]
    if not found:
        return
    peak, name, value_range = max(found)
    of = f"{counted(len(found))} with more than 8 bits per value"
    if value_range:
        yield (
            f"{of}: values above {value_range[1]:g} become white, such as {peak:g} in {name}. "
            "Raise the upper end of training.value_range to keep them."
        )
        return
    high = 2 ** int(peak).bit_length() - 1
    yield (
        f"{of}: the highest value is {peak:,.0f} of 65,535, so they come out nearly black, such as "
        f"{name}. If {high} is white in these images, set training.value_range = [0, {high}]."
    )


def _is_off(peak: float, value_range: ValueRange | None) -> bool:
    return peak > value_range[1] if value_range else peak < SMALL
