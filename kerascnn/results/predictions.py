"""The predictions of a network: kept exactly by every run, in `predictions.csv`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.store.packed import Packed
from kerascnn.runtime.csv_files import read_csv, write_csv

_HEAD = ("image", "sha256", "label", "predicted", "probability")


@dataclass(frozen=True)
class Predictions:
    """The predictions of a network for labelled images.

    Args:
        names: The path of each image, or its number.
        labels: int [N].
        probabilities: float [N, K].
        digests: The SHA-256 of each prepared image; in a study of folds that of its content.
        repeats: R; a study tests each image R times, and N is R times their number. Those of the
            first time come first, each time in the same order of images.
    """

    names: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    digests: list[str] = field(default_factory=list)
    repeats: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        return self.probabilities.shape[1]

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image; the first, if several are equal: int [N]."""
        return self.probabilities.argmax(1)

    @property
    def wrong(self) -> np.ndarray:
        """The rows that were misclassified."""
        return np.flatnonzero(self.predicted != self.labels)


def predictions_of(split: Packed, probabilities: np.ndarray) -> Predictions:
    """A network's probabilities [N, K] for the images of a split."""
    return Predictions(
        names=[split.name(row) for row in range(len(split))],
        labels=split.labels,
        probabilities=probabilities,
        digests=[digest.tobytes().hex() for digest in split.digests],
    )


def write_predictions(
    file: Path,
    said: Predictions,
    class_names: Sequence[str],
    more: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Writes a CSV file: image, true and predicted label, the probability of each class.

    Nine digits identify every float32, so reading gives back the same values. `more` are columns
    before those of the classes.
    """
    rows = zip(said.names, said.digests, said.labels, said.predicted, strict=True)
    others = list(zip(*more.values(), strict=True)) if more else [()] * len(said)

    def lines() -> Iterator[list[Any]]:
        every = zip(rows, others, said.probabilities, strict=True)
        for (name, digest, label, best), other, of_image in every:
            digits = [f"{value:.9g}" for value in of_image.astype(np.float32)]
            labels = (class_names[label], class_names[best])
            yield [name, digest, *labels, digits[best], *other, *digits]

    write_csv(file, [*_HEAD, *(more or ()), *class_names], lines())


def read_predictions(file: Path, class_names: Sequence[str], repeats: int = 1) -> Predictions:
    """Reads what `write_predictions` wrote, without its other columns."""
    rows = read_csv(file)
    index = {name: number for number, name in enumerate(class_names)}
    probabilities = np.array([row[-len(class_names) :] for row in rows], np.float32)
    _settle_ties(probabilities, np.array([index[row[3]] for row in rows]))
    return Predictions(
        names=[row[0] for row in rows],
        labels=np.array([index[row[2]] for row in rows]),
        probabilities=probabilities,
        digests=[row[1] for row in rows],
        repeats=repeats,
    )


def _settle_ties(probabilities: np.ndarray, predicted: np.ndarray) -> None:
    """Breaks ties in favour of the predicted class; older versions rounded to ties."""
    (rows,) = np.nonzero(probabilities.argmax(1) != predicted)
    greatest = probabilities[rows].max(1)
    probabilities[rows, predicted[rows]] = np.nextafter(greatest, np.float32(2))
