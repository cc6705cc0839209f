"""The images of a folder without labels that are worth a label, in order."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.hygiene.copies import near_rows, not_compared
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.observer import Observer
from kerascnn.results.inference.images import collect_packed
from kerascnn.runtime.csv_files import write_csv
from kerascnn.studies.features.classifier import PENALTIES
from kerascnn.studies.features.extract import ImageFeatures
from kerascnn.studies.more.choice import choose
from kerascnn.studies.more.heads import paths
from kerascnn.studies.more.result import NextImage

COLUMNS = ("path", "label", "suggested", "probability")


@dataclass(frozen=True)
class Chosen:
    """The images to label next, the most useful first.

    Args:
        pixels: uint8 [n, P, P, 3].
        copies: Number of images of the folder that were left out as copies.
    """

    images: list[NextImage]
    pixels: np.ndarray
    copies: int


def next_of(
    folder: Path, features: ImageFeatures, penalty: float, count: int, observer: Observer
) -> Chosen:
    """Chooses from the images of a folder, at any depth.

    They are packed and their features are stored like those of the experiment. Copies and near
    copies of each other and of the experiment's images, those of the test split included, are left
    out.

    Args:
        penalty: Of the head that guesses their classes, one of `PENALTIES`.
        count: Number of images to choose.

    Raises:
        InputError: No images are there, or none that can be read.
    """
    training = features.extractor.prepared.experiment.training
    names, packed = collect_packed([folder], Preparation.of(training), observer)
    new = np.delete(
        np.arange(len(packed)),
        _copies(packed, list(features.images.data.splits().values()), observer),
    )
    if not len(new):
        return Chosen([], np.empty((0, *packed.images.shape[1:]), np.uint8), len(packed))
    left = packed.at(new)
    values = features.extractor.features([left], observer).values
    probabilities = _guesses(features, values, penalty)
    rows = choose(probabilities, values, features.values, count)
    class_names = features.images.data.class_names
    images = [
        NextImage(
            image=names[new[row]],
            suggested=class_names[probabilities[row].argmax()],
            probability=float(probabilities[row].max()),
        )
        for row in rows
    ]
    return Chosen(images, left.images[rows], len(packed) - len(new))


def _guesses(features: ImageFeatures, values: np.ndarray, penalty: float) -> np.ndarray:
    """Probabilities [U, K] for features [U, F], by a head that learned from all images."""
    from threadpoolctl import threadpool_limits

    labels = features.images.labels
    learned = np.arange(len(labels))
    with threadpool_limits(1, "blas"):
        *_, logs = paths(
            np.concatenate([features.values, values]),
            labels,
            learned,
            len(labels) + np.arange(len(values)),
            features.images.classes,
            [one for one in PENALTIES if one >= penalty],
        )
    return np.exp(logs)


def _copies(packed: Packed, others: list[Packed], observer: Observer) -> list[int]:
    """The rows of images that are equal or nearly equal to others, or to one before them."""
    known = {digest.tobytes() for other in others for digest in other.digests}
    out = set[int]()
    for row, digest in enumerate(packed.digests):
        if (key := digest.tobytes()) in known:
            out.add(row)
        known.add(key)
    if any(not_compared(packed, other) for other in (packed, *others)):
        observer.warned(
            f"near copies among the {len(packed):,} images were not searched, because they are "
            "too many; equal ones were."
        )
        return sorted(out)
    out |= {row for other in others for row, _ in near_rows(packed, other)}
    for first, second in sorted(map(sorted, near_rows(packed, packed))):
        if first not in out:
            out.add(second)
    return sorted(out)


def write_table(file: Path, images: list[NextImage]) -> None:
    """Writes the images as a table in which a person fills in the labels."""
    rows = [(one.image, "", one.suggested, f"{one.probability:.3f}") for one in images]
    write_csv(file, COLUMNS, rows)
