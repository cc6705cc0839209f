"""How suspicious labels are, by probabilities of a classifier that has not seen them.

Confident learning (Northcutt, Jiang and Chuang, arXiv 1911.00068).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Suspicion:
    """What speaks against each label.

    Args:
        score: One minus the probability of the label, 0 to 1: float [N].
        suggested: The likeliest class other than the label: int [N].
        wrong: Whether the label is counted as wrong, bool [N].
    """

    score: np.ndarray
    suggested: np.ndarray
    wrong: np.ndarray


def suspect(
    probabilities: np.ndarray, labels: np.ndarray, known: np.ndarray | None = None
) -> Suspicion:
    """Judges each label by its own probability.

    Args:
        probabilities: Of each class, float [N, K], K at least 2.
        labels: int [N].
        known: The images whose labels decide which probability is usual for a class, bool [N];
            default all.
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    known = np.ones(len(labels), np.bool_) if known is None else known
    return Suspicion(1 - own, others.argmax(1), _confidently_wrong(probabilities, labels, known))


def _confidently_wrong(
    probabilities: np.ndarray, labels: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """The labels off the diagonal of the confident joint: bool [N].

    An image counts for a class if its probability reaches the mean of those of the images with that
    label, and of several such classes for the likeliest.
    """
    thresholds = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels[known]):
        thresholds[label] = probabilities[known & (labels == label), label].mean()
    reached = np.where(probabilities >= thresholds, probabilities, -1)
    return (reached.max(1) >= 0) & (reached.argmax(1) != labels)
