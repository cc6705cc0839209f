"""Images that deserve a look whatever their label: far from all, odd, blurred, of one burst."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.hygiene.findings import Findings, Image
from kerascnn.studies.features.neighbours import Neighbours, alike, nearest
from kerascnn.studies.labels.images import AllImages
from kerascnn.studies.labels.quality import BLANK, contrast_and_sharpness, outlying

FAR = 4.0
"""Robust deviations from the median beyond which a value is unusual."""
OWN = 5
"""Neighbours of the same class."""


@dataclass(frozen=True)
class Look:
    """Images to look at for one reason.

    Args:
        kind: A word for the JSON, such as "far".
        title: The reason, in words.
        groups: The rows of images that belong together, the most striking first; of one each, or
            pairs.
    """

    kind: str
    title: str
    groups: Sequence[Sequence[int]]


def looks(
    images: AllImages,
    features: np.ndarray,
    neighbours: Neighbours,
    wrong: np.ndarray,
    findings: Findings,
) -> list[Look]:
    """Images worth a look, besides suspicious labels; kinds without an image are left out.

    Args:
        images: All images.
        features: float32 [N, F].
        neighbours: Of each image, among those to train and validate on.
        wrong: Whether its label is counted as wrong, bool [N].
        findings: What the examination of the data found.
    """
    distance = outlying(-neighbours.likeness.mean(1))
    odd = _odd_in_class(features, images.labels)
    contrast, sharpness = images.measured(contrast_and_sharpness).T
    blurred = outlying(-sharpness)
    copies = [*_pairs(images, findings.duplicates), *_pairs(images, findings.near_duplicates)]
    copied = {tuple(sorted(pair)) for pair in copies}
    found = [
        Look("conflicting", "Copies with two labels", [*_pairs(images, findings.conflicting)]),
        Look("far", "Unlike all others: perhaps of no class", _ordered(distance >= FAR, distance)),
        Look(
            "odd",
            "Odd for their class",
            _ordered((odd >= FAR) & (distance < FAR) & ~wrong, odd),
        ),
        Look("copies", "Copies and near copies in two splits", copies),
        Look(
            "bursts",
            "Almost alike in two splits, as in a burst: the test is easier than it looks",
            _bursts(images, features, neighbours, copied),
        ),
        Look("blurred", "Blurred", _ordered((blurred >= FAR) & (contrast >= BLANK), blurred)),
        Look("blank", "Black, white or of one colour", _ordered(contrast < BLANK, -contrast)),
    ]
    return [one for one in found if one.groups]


def _ordered(chosen: np.ndarray, by: np.ndarray) -> list[list[int]]:
    rows = np.flatnonzero(chosen)
    return [[row] for row in rows[np.argsort(-by[rows], kind="stable")].tolist()]


def _odd_in_class(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """By how much each image is further from the others of its class than is usual there."""
    odd = np.zeros(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 2 * OWN:
            near = nearest(features[rows], np.ones(len(rows), np.bool_), OWN)
            odd[rows] = outlying(-near.likeness.mean(1))
    return odd


def _pairs(images: AllImages, pairs: Sequence[Sequence[Image]]) -> Iterator[list[int]]:
    for pair in pairs:
        yield [images.row(of.split, of.row) for of in pair]


def _bursts(
    images: AllImages, features: np.ndarray, neighbours: Neighbours, copied: set[tuple[int, ...]]
) -> list[list[int]]:
    """Groups of images in two or more splits that are almost alike, without pairs of copies."""
    groups: dict[int, set[int]] = {}
    for pair in alike(features, _least_of_a_burst(neighbours)):
        if pair not in copied:
            joined = groups.get(pair[0], {pair[0]}) | groups.get(pair[1], {pair[1]})
            groups |= dict.fromkeys(joined, joined)
    whole = {id(group): sorted(group) for group in groups.values()}
    return [rows for rows in whole.values() if len({*images.split[rows]}) > 1]


def _least_of_a_burst(neighbours: Neighbours) -> float:
    """The likeness that is unusual among nearest neighbours, whatever the network."""
    logs = np.log(np.maximum(1 - neighbours.likeness[:, 0], 1e-6))
    median = np.median(logs)
    return float(1 - np.exp(median - FAR * 1.4826 * np.median(abs(logs - median))))
