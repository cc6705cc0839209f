"""Mistakes of a network: confused classes, worst mistakes, least certain images."""

from dataclasses import dataclass

import numpy as np

from kerascnn.results.predictions import Predictions


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were predicted as another.

    Args:
        true: Index of the true class.
        predicted: Index of the predicted class.
        of: Number of images of the true class.
        rows: The confused images, the most confident mistakes first.
    """

    true: int
    predicted: int
    of: int
    rows: np.ndarray


def confusions(predictions: Predictions) -> list[Confusion]:
    """The pairs of classes that were confused, the most frequent first."""
    labels, predicted = predictions.labels, predictions.predicted
    sureness = predictions.probabilities.max(1)
    rows = predictions.wrong[np.argsort(-sureness[predictions.wrong], kind="stable")]
    pairs = dict.fromkeys(zip(labels[rows].tolist(), predicted[rows].tolist(), strict=True))
    found = [
        Confusion(
            true,
            taken,
            of=int((labels == true).sum()),
            rows=rows[(labels[rows] == true) & (predicted[rows] == taken)],
        )
        for true, taken in pairs
    ]
    return sorted(found, key=lambda confusion: -len(confusion.rows))


def most_wrong(predictions: Predictions, count: int) -> np.ndarray:
    """The mistakes with the lowest probability of the true class."""
    of_label = predictions.probabilities[np.arange(len(predictions)), predictions.labels]
    return predictions.wrong[np.argsort(of_label[predictions.wrong], kind="stable")][:count]


def least_sure(predictions: Predictions, count: int) -> np.ndarray:
    """The rows, right or wrong, whose two highest probabilities are closest."""
    two = np.partition(predictions.probabilities, -2, axis=1)[:, -2:]
    return np.argsort(two[:, 1] - two[:, 0], kind="stable")[:count]


def surest_right(predictions: Predictions, label: int) -> int | None:
    """The correct row of a class with the highest probability, if any."""
    return _surest(predictions, (predictions.labels == label) & (predictions.predicted == label))


def surest_wrong(predictions: Predictions, label: int) -> int | None:
    """The misclassified row of a class with the highest probability, if any."""
    return _surest(predictions, (predictions.labels == label) & (predictions.predicted != label))


def surest(predictions: Predictions) -> int:
    """The row with the highest probability of the true class."""
    return int(predictions.probabilities[np.arange(len(predictions)), predictions.labels].argmax())


def _surest(predictions: Predictions, among: np.ndarray) -> int | None:
    if not among.any():
        return None
    return int(np.where(among, predictions.probabilities.max(1), -1).argmax())
