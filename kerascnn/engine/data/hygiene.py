"""Pictures that a dataset holds twice: the same ones, and those that are nearly the same."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, islice, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from kerascnn.engine.data.depth import told_of_range

if TYPE_CHECKING:
    from kerascnn.engine.data.store import Packed

# The difference hash of Neal Krawetz ("Kind of Like That", hackerfactor.com, 2013): whether a
# picture grows brighter from each cell to the next, here over 16 rows of 17 cells; and the same of
# its mirror image.
HASH_SIDE = 16
HASH_WORDS = 2 * HASH_SIDE**2 // 64

# Two pictures are nearly the same if at most so many of 256 bits differ. Measured at 160 px on
# 1,500 photographs of flowers and the 1,000 rendered ones: of copies saved as JPEG of quality 50,
# of half the size, mirrored or upside down 98% to 100% are found, of quality 20, a quarter of the
# size or 15% brighter 94% to 98%, with 2% cut off 86% to 98%. The only other pair, of 380,000, is
# one photograph in two colourings; the next differs in 38 bits.
NEAR_BITS = 25

# And if that is so many deviations below the median pair: there photographs have 74 bits, drawn
# shapes 67; handwritten digits, which are all much alike, fewer than none.
NEAR_DEVIATIONS = 6

# Pairs that differ in at most so many bits at 160 px are kept together when splits are drawn. The
# spare bits are for other ways to prepare the images: of 800 pairs of photographs and their copies,
# all but 1 of those found at 64 to 299 px are among them, all but 5 if padded or stretched.
TOGETHER_BITS = 30

# Of plain colours and nearly white screenshots no hash can tell one from another: images in which
# fewer of the 256 neighbouring cells differ are compared for equality alone. 600 photographs have
# 112 or more, white pages with a few words at most 48.
LEAST_STRUCTURE = 64
_SAMPLE = 10_000  # pairs that tell median and deviation

_GLANCE_BITS = 12  # of the first 64, twice as many as on average

MAX_PAIRS = 500_000_000  # of two splits that are compared: some seconds
LISTED = 1000  # findings of a kind that are written down, the others counted
SHOWN = 5  # of which a note shows so many

_BLOCK = 2**21  # pairs that are compared at once

Place = tuple[str, int]  # split and row
Rows = list[Place]


class Picture(NamedTuple):
    """One of the pictures that a finding is about."""

    split: str
    row: int
    name: str
    label: str


@dataclass(frozen=True)
class Findings:
    """What was found wrong with the pictures of a dataset and does not stop a run.

    Args:
        duplicates: Pairs of equal pictures in different splits.
        near_duplicates: Pairs of nearly equal pictures in different splits.
        conflicting: Pairs of equal pictures with different labels.
        skipped: By split, the pictures that are left out, each with the reason.
        ignored: What was found besides the pictures, and how often.
        counts: How many of each there are, for no more than 1,000 are listed.
        depth: What there is to say of images that have more than 8 bits a value.
    """

    duplicates: list[list[Picture]] = field(default_factory=list)
    near_duplicates: list[list[Picture]] = field(default_factory=list)
    conflicting: list[list[Picture]] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    depth: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        pairs = {
            name: [[picture._asdict() for picture in pair] for pair in getattr(self, name)]
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
            yield f"not looked for pictures nearly in two splits: {pairs:,} pairs are too many"


KINDS = {
    "duplicates": "of equal pictures in two splits, which flatter the accuracy",
    "near_duplicates": "of nearly equal pictures in two splits, as if cropped, flipped or saved "
    "again",
    "conflicting": "of equal pictures under two labels",
}
"""What is said of the pairs that are found of each kind."""


def counted(count: int, noun: str = "picture") -> str:
    """So many of them, in words."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(
    headline: str, lines: Iterable[str], count: int, limit: int = SHOWN, *, noun: str = "picture"
) -> str:
    """A headline with the number of things, the first lines, and how many more there are."""
    more = [f"and {count - limit:,} more"] if count > limit else []
    return "\n  ".join([f"{headline.format(counted(count, noun))}:", *islice(lines, limit), *more])


def told(pair: Iterable[Picture]) -> str:
    """A pair in a line, with the labels where they differ."""
    first, second = pair
    labels = ("", "")
    if first.label != second.label:
        labels = (f" ({first.label})", f" ({second.label})")
    return f"{first.split}: {first.name}{labels[0]} = {second.split}: {second.name}{labels[1]}"


def examine(
    splits: Mapping[str, "Packed"], class_names: tuple[str, ...], ignored: Mapping[str, int]
) -> Findings:
    """Looks at the pictures of all splits, which are named in the order of the pairs."""
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
            name: [[_picture(splits, class_names, place) for place in pair] for pair in pairs]
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


def _picture(splits: Mapping[str, "Packed"], class_names: tuple[str, ...], place: Place) -> Picture:
    split, row = place
    packed = splits[split]
    return Picture(split, row, packed.name(row), class_names[packed.labels[row]])


def splits_of(group: Rows) -> list[str]:
    return [split for split, _ in group]


def _neighbours(group: Rows, keys: Iterable[Any]) -> Iterator[Rows]:
    """The first of each key, each with that of the next key."""
    first: dict[Any, Place] = {}
    for place, key in zip(group, keys, strict=True):
        first.setdefault(key, place)
    return map(list, pairwise(first.values()))


def equal_groups(splits: Mapping[str, "Packed"]) -> Iterator[Rows]:
    """The pictures that are equal after preparation, in groups of two and more."""
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


def copies(splits: Mapping[str, "Packed"]) -> dict[str, dict[int, str]]:
    """By split, the rows of pictures that stand in a later split too, and in which."""
    order, found = list(splits), defaultdict[str, dict[int, str]](dict)
    for group in equal_groups(splits):
        last = max(splits_of(group), key=order.index)
        for split, row in group:
            if split != last:
                found[split][row] = last
    return found


def perceptual_hash(pixels: np.ndarray) -> np.ndarray:
    """The difference hash of a picture uint8 [S, S, 3] and that of its mirror image: uint64 [8]."""
    size = (HASH_SIDE + 1, HASH_SIDE)
    grey = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BOX)
    cells = np.asarray(grey)  # [16, 17]
    both = np.stack([cells, cells[:, ::-1]])
    bits = both[:, :, 1:] > both[:, :, :-1]  # [2, 16, 16]
    # every fourth row stands together, so that the first 64 bits see all of the picture
    rows = bits.reshape(2, 4, 4, HASH_SIDE).swapaxes(1, 2)
    return np.packbits(rows).view(np.uint64)


def near_pairs(splits: Mapping[str, "Packed"]) -> list[Rows]:
    """Pictures in different splits that are nearly but not quite the same, also if flipped."""
    found = []
    for one, other in combinations(splits, 2):
        a, b = splits[one], splits[other]
        if _too_many(a, b):
            continue
        rows, twins = _structured(a.hashes), _structured(b.hashes)
        if not len(rows) or not len(twins):
            continue
        hashes, others = np.asarray(a.hashes)[rows], np.asarray(b.hashes)[twins]
        plain = np.split(hashes, 2, axis=1)[0]
        limit = min(NEAR_BITS, _unlikely(_sampled(plain, others)))
        close = {pair for variant in _variants(others) for pair in _close(plain, variant, limit)}
        found += [
            [(one, int(rows[row])), (other, int(twins[twin]))]
            for row, twin in sorted(close)
            if a.digests[rows[row]].tobytes() != b.digests[twins[twin]].tobytes()
        ]
    return found


def near_rows(hashes: np.ndarray, classes: Iterable[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Pairs of rows of a class whose images are nearly the same, also if flipped.

    Args:
        hashes: Perceptual hashes of all images, uint64 [N, 8], in an order that has nothing to do
            with them.
        classes: The rows of each class, int64 [M]; of one with too many none are compared.
    """
    structured = _structured(hashes)
    if len(structured) < 2:
        return
    limit = min(TOGETHER_BITS, _unlikely(_shifted(hashes[structured, :4])))
    for rows in (np.intersect1d(rows, structured) for rows in classes):
        if 1 < len(rows) <= MAX_PAIRS**0.5:
            for variant in _variants(hashes[rows]):
                pairs = _close(hashes[rows, :4], variant, limit)
                yield from ((int(rows[a]), int(rows[b])) for a, b in pairs if a < b)


def _structured(hashes: np.ndarray) -> np.ndarray:
    """The rows whose images have enough structure for their hashes to be compared: int64 [M]."""
    differing = np.bitwise_count(np.asarray(hashes)).sum(axis=1, dtype=np.int64)
    return np.flatnonzero(differing >= LEAST_STRUCTURE)


def _too_many(a: "Packed", b: "Packed") -> bool:
    return len(a) * len(b) > MAX_PAIRS


def _sampled(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits pairs of the one and the other side differ: int64 [N]."""
    rng = np.random.default_rng(0)
    rows, twins = (rng.integers(0, len(side), _SAMPLE) for side in (hashes, others))
    return _differ(hashes[rows], others[twins, : hashes.shape[1]])


def _shifted(hashes: np.ndarray) -> np.ndarray:
    """The same of pairs among hashes uint64 [N, 4], few of which change when one is added."""
    shifts = range(1, min(len(hashes), 2 + _SAMPLE // len(hashes)))
    return np.concatenate([_differ(hashes, np.roll(hashes, shift, axis=0)) for shift in shifts])


def _unlikely(differ: np.ndarray) -> float:
    """So few bits differ in no pair of pictures that have nothing to do with each other."""
    median = np.median(differ)
    deviation = 1.4826 * np.median(abs(differ - median))  # robust: Rousseeuw & Croux, JASA 1993
    return median - NEAR_DEVIATIONS * deviation


def _differ(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits hashes uint64 [N, 4] differ: int64 [N]."""
    return np.bitwise_count(hashes ^ others).sum(axis=1, dtype=np.int64)


def _variants(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """The hashes uint64 [N, 4] of pictures as they are, mirrored, upside down, and both."""
    for variant in np.split(np.asarray(hashes), 2, axis=1):
        yield variant
        rows = np.ascontiguousarray(variant).view(np.uint16)  # [N, 16]
        yield np.ascontiguousarray(rows[:, ::-1]).view(np.uint64)


def _close(hashes: np.ndarray, others: np.ndarray, limit: float) -> Iterator[tuple[int, int]]:
    """Indices of hashes uint64 [N, 4] and [M, 4] that differ in so many bits at most."""
    step = max(1, _BLOCK // len(others))
    for start in range(0, len(hashes), step):
        here = hashes[start : start + step]
        rows, twins = np.nonzero(np.bitwise_count(here[:, :1] ^ others[:, 0]) <= _GLANCE_BITS)
        close = _differ(here[rows], others[twins]) <= limit
        yield from zip((start + rows[close]).tolist(), twins[close].tolist(), strict=True)
