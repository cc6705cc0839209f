"""Judges labels by features: out-of-fold probabilities together with a vote of neighbours.

The vote is that of SimiFeat (Zhu, Dong and Liu, arXiv 2110.06283): the labels of the images that
look most alike.
"""

from typing import NamedTuple

import numpy as np

from kerascnn.engine.metrics.suspicion import Suspicion, suspect
from kerascnn.studies.features.neighbours import Neighbours, nearest
from kerascnn.studies.features.ridge import ridge_out_of_fold

FEWEST_VOTERS, MOST_VOTERS = 5, 20
"""Neighbours that vote. Of photographs with swapped labels, 20 find most with 270 images a class, 8
with 90."""
VOTE = 1 / 3
"""Weight of the vote; the rest is that of the out-of-fold probabilities."""
TESTED = -1
"""The fold of images that are judged by the others, and judge nothing."""


class Judged(NamedTuple):
    """What speaks against each label, and what it follows from.

    Args:
        found: For each image.
        neighbours: Those that voted, the nearest first.
        probabilities: Out of fold, float32 [N, K].
    """

    found: Suspicion
    neighbours: Neighbours
    probabilities: np.ndarray


def judge_labels(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int
) -> Judged:
    """Judges each label.

    Args:
        features: float32 [N, F].
        labels: int64 [N].
        folds: The fold of each image, or `TESTED`: int [N].
        classes: K.
    """
    known = folds != TESTED
    neighbours = nearest(features, known, voters(int(known.sum()), classes))
    probabilities = ridge_out_of_fold(features, labels, folds, classes, known)
    shares = (1 - VOTE) * probabilities + VOTE * votes(neighbours, labels, classes)
    return Judged(suspect(shares, labels, known), neighbours, probabilities)


def voters(known: int, classes: int) -> int:
    """The number of neighbours that vote: a tenth of the images of a class, from 5 to 20."""
    return min(MOST_VOTERS, max(FEWEST_VOTERS, known // classes // 10))


def votes(neighbours: Neighbours, labels: np.ndarray, classes: int) -> np.ndarray:
    """The share of each class among the neighbours of each image: float64 [N, K]."""
    said = labels[neighbours.rows]  # [N, k]
    return np.stack([(said == label).mean(1) for label in range(classes)], axis=1)
