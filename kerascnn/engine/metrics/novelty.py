"""Scores of how little an image resembles the known ones, by its features; higher is stranger."""

from collections.abc import Callable

import numpy as np

from kerascnn.engine.metrics.neighbours import nearest

NEIGHBOURS = 3
"""Training images whose distance counts: Sun et al. take the k-th of far more images."""
SHRINKAGE = 2 / 3
"""Of the covariance towards that of equal spread in all directions: there are more features than
images. Of 0.1 to 0.8 among the best for both measures on two sets of photographs."""
WIDEST = 2048
"""Features that the linear classifier takes; wider ones are projected at random."""
LEAST = 1e-12

Score = Callable[[np.ndarray], np.ndarray]  # features [Q, F] to scores [Q]


def distances(known: np.ndarray, labels: np.ndarray) -> Score:
    """The mean cosine distance from the nearest known images (Sun et al. 2022, arXiv 2204.06507).

    Args:
        known: Features of unit length: [N, F].
        labels: Not used.
    """

    def score(features: np.ndarray) -> np.ndarray:
        cosines, _ = nearest(known, features, NEIGHBOURS)
        return 1 - cosines.mean(1)

    return score


def improbability(known: np.ndarray, labels: np.ndarray) -> Score:
    """1 minus the highest class probability (Hendrycks and Gimpel 2017, arXiv 1610.02136).

    Args:
        known: Features of unit length: [N, F].
        labels: int [N].
    """
    logits = discriminant(known, labels)

    def score(features: np.ndarray) -> np.ndarray:
        found = logits(features)
        return 1 - 1 / np.exp(found - found.max(1, keepdims=True)).sum(1)

    return score


def energy(known: np.ndarray, labels: np.ndarray) -> Score:
    """The free energy of the class scores (Liu et al. 2020, arXiv 2010.03759); see above."""
    logits = discriminant(known, labels)

    def score(features: np.ndarray) -> np.ndarray:
        found = logits(features)
        highest = found.max(1)
        return -highest - np.log(np.exp(found - highest[:, None]).sum(1))

    return score


MEASURES = {"neighbours": distances, "probability": improbability, "energy": energy}
"""How to score by known features [N, F] and labels [N], by name; of equals the first is used."""


def discriminant(known: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Linear discriminant analysis with a shrunken covariance, in closed form.

    Args:
        known: Features of unit length: [N, F].
        labels: int [N], of any K different values.

    Returns:
        From features [Q, F] to logits, float64 [Q, K], in the order of the labels.
    """
    project = _projection(known.shape[1])
    inputs = project(known)
    classes, of_class = np.unique(labels, return_inverse=True)
    means = np.stack([inputs[of_class == row].mean(0) for row in range(len(classes))])
    inside = inputs - means[of_class]
    covariance = (inside.T @ inside / len(inputs)).astype(np.float64)
    spread = max(np.trace(covariance) / len(covariance), LEAST)
    shrunken = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(len(covariance))
    weights = np.linalg.solve(shrunken, means.T)  # [F, K]
    shares = np.bincount(of_class) / len(labels)
    biases = np.log(shares) - (means.T * weights).sum(0) / 2
    return lambda features: project(features) @ weights + biases


def _projection(width: int) -> Callable[[np.ndarray], np.ndarray]:
    """From features [Q, F] to those that a classifier takes: themselves, or fewer sums of them."""
    if width <= WIDEST:
        return lambda features: features.astype(np.float32)
    drawn = np.random.default_rng(0).normal(size=(width, WIDEST)) / np.sqrt(WIDEST)
    matrix = drawn.astype(np.float32)
    return lambda features: features.astype(np.float32) @ matrix


def area(known: np.ndarray, strange: np.ndarray) -> float:
    """AUROC: how often a strange image has a higher score than a known one; ties count half.

    Args:
        known, strange: Scores, float [N] and [M].
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([known, strange]))[len(known) :]
    count = len(strange)
    return float((ranks.sum() - count * (count + 1) / 2) / (len(known) * count))
