"""What is wrong with the images of a dataset, and the notes that say so."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kerascnn.runtime.text import itemized

PAIR_KINDS = {
    "duplicates": "of equal images in two splits, which inflate the accuracy",
    "near_duplicates": "of nearly equal images in two splits, such as cropped, flipped or re-saved "
    "copies",
    "conflicting": "of equal images with different labels",
}
"""The kinds of pairs that are found, and the words for each."""


class Image(NamedTuple):
    """One of the images of a finding."""

    split: str
    row: int
    name: str
    label: str


@dataclass(frozen=True)
class Findings:
    """Faults in the images of a dataset that do not stop a run.

    Args:
        duplicates: Pairs of equal images in different splits.
        near_duplicates: Pairs of nearly equal images in different splits.
        conflicting: Pairs of equal images with different labels.
        skipped: By split, the images left out, each with the reason.
        ignored: What else was in the dataset's folder, and how often.
        counts: The number of each; at most 1,000 of each are listed.
        depth: Notes on images with more than 8 bits per value.
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
            kind: [[image._asdict() for image in pair] for pair in getattr(self, kind)]
            for kind in PAIR_KINDS
        }
        rest = {"skipped": self.skipped, "ignored": self.ignored, "depth": self.depth}
        return {"counts": self.counts, **pairs, **rest}

    def notes(self) -> Iterator[str]:
        """The findings in words."""
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
    """What was found wrong with an experiment's data.

    Args:
        findings: Faults of the images.
        notes: The findings, and what the data has too little of, in words.
    """

    findings: Findings
    notes: tuple[str, ...]


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
