"""How suspicious each label is: out-of-fold probabilities together with a vote of neighbours.

Confident learning (Northcutt, Jiang and Chuang, arXiv 1911.00068) compares each label with what is
predicted without having seen it; SimiFeat (Zhu, Dong and Liu, arXiv 2110.06283) with the labels of
the images that look most alike.
"""

from dataclasses import dataclass

import numpy as np

from kerascnn.studies.features.neighbours import Neighbours

FEWEST_VOTERS, MOST_VOTERS = 5, 20
"""Neighbours that vote. With 270 images a class, 20 find more wrong labels than 5 or 10 do."""


@dataclass(frozen=True)
class Suspicion:
    """What speaks against each label.

    Args:
        score: 0 to 1, the most suspicious highest: float [N].
        suggested: The likeliest class other than the label: int [N].
        wrong: Whether confident learning counts the label as wrong, bool [N].
    """

    score: np.ndarray
    suggested: np.ndarray
    wrong: np.ndarray


def suspect(
    probabilities: np.ndarray, neighbours: Neighbours, labels: np.ndarray, known: np.ndarray
) -> Suspicion:
    """Judges each label.

    Args:
        probabilities: Out of fold, float32 [N, K].
        neighbours: Of each image, among those that are known.
        labels: int64 [N].
        known: The images whose labels decide what a class looks like, bool [N].
    """
    rows = np.arange(len(labels))
    shares = (probabilities + votes(neighbours, labels, probabilities.shape[1])) / 2  # [N, K]
    own = shares[rows, labels]
    others = shares.copy()
    others[rows, labels] = -1
    score = (1 - own + others.max(1)) / 2
    return Suspicion(score, others.argmax(1), confidently_wrong(shares, labels, known))


def voters(known: int, classes: int) -> int:
    """The number of neighbours that vote: a fifth of the images of a class, from 5 to 20."""
    return min(MOST_VOTERS, max(FEWEST_VOTERS, known // classes // 5))


def votes(neighbours: Neighbours, labels: np.ndarray, classes: int) -> np.ndarray:
    """The share of each class among the neighbours of each image: float64 [N, K]."""
    said = labels[neighbours.rows]  # [N, k]
    return np.stack([(said == label).mean(1) for label in range(classes)], axis=1)


def confidently_wrong(shares: np.ndarray, labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The labels off the diagonal of the confident joint: bool [N].

    An image counts for a class if its probability reaches the mean of those of the images with that
    label, and of several such classes for the likeliest.
    """
    thresholds = np.full(shares.shape[1], np.inf)
    for label in np.unique(labels[known]):
        thresholds[label] = shares[known & (labels == label), label].mean()
    reached = np.where(shares >= thresholds, shares, -1)
    return (reached.max(1) >= 0) & (reached.argmax(1) != labels)
