"""Scores of how little an image resembles the known ones, by its features; higher is stranger."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kerascnn.engine.metrics.neighbours import nearest

NEIGHBOURS = 3
"""Training images whose distance counts: Sun et al. take the k-th of far more images."""
SHRINKAGE = 4 / 5
"""Of the covariance towards that of equal spread in all directions: there are more features than
images. Of 2/3 to 9/10 the best for new classes on three sets of photographs, on the whole."""
WIDEST = 2048
"""Features that the linear classifier takes; wider ones are projected at random."""
LEAST, LEAST_ODDS = 1e-12, 1e-300

Score = Callable[[np.ndarray], np.ndarray]  # features [Q, F] to scores [Q]


@dataclass(frozen=True)
class Examples:
    """The known images that scores come from.

    Args:
        features: Of unit length: [N, F].
        labels: int [N], of any K different values.
    """

    features: np.ndarray
    labels: np.ndarray

    @cached_property
    def classes(self) -> "Gaussians":
        """One distribution for each class."""
        return Gaussians(self.features, self.labels)

    @cached_property
    def together(self) -> "Gaussians":
        """One distribution for all."""
        return Gaussians(self.features, np.zeros_like(self.labels))


class Gaussians:
    """Normal distributions of one shrunken covariance around the mean of each label, [N, F]."""

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        from scipy.linalg import cholesky

        self._project = _projection(features.shape[1])
        inputs = self._project(features)
        classes, of_class = np.unique(labels, return_inverse=True)
        means = np.stack([inputs[of_class == row].mean(0) for row in range(len(classes))])
        inside = inputs - means[of_class]
        covariance = inside.T @ inside / len(inputs)
        spread = max(np.trace(covariance) / len(covariance), LEAST)
        covariance *= 1 - SHRINKAGE
        covariance[np.diag_indices_from(covariance)] += SHRINKAGE * spread
        self._root = cholesky(covariance, lower=True)
        self._means = self._whitened(means)
        self._shares = np.bincount(of_class) / len(labels)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Linear discriminant analysis: [Q, K], in the order of the labels, of features [Q, F]."""
        found = self._whitened(self._project(features)) @ self._means.T
        return found - (self._means**2).sum(1) / 2 + np.log(self._shares)

    def distances(self, features: np.ndarray) -> np.ndarray:
        """The squared Mahalanobis distances from the means: [Q, K]."""
        found = self._whitened(self._project(features))
        lengths = (found**2).sum(1)[:, None] + (self._means**2).sum(1)
        return lengths - 2 * found @ self._means.T

    def _whitened(self, features: np.ndarray) -> np.ndarray:
        from scipy.linalg import solve_triangular

        return solve_triangular(self._root, features.T, lower=True).T


def distances(known: Examples) -> Score:
    """The mean cosine distance from the nearest images (Sun et al. 2022, arXiv 2204.06507)."""

    def score(features: np.ndarray) -> np.ndarray:
        cosines, _ = nearest(known.features, features, NEIGHBOURS)
        return 1 - cosines.mean(1)

    return score


def relative_distance(known: Examples) -> Score:
    """How much further than all images together the nearest class is, by Mahalanobis distances.

    After Ren et al. 2021 (arXiv 2106.09022): what differs among the known images anyway, such as
    their background, counts less.
    """

    def score(features: np.ndarray) -> np.ndarray:
        nearest_class = known.classes.distances(features).min(1)
        return nearest_class - known.together.distances(features)[:, 0]

    return score


def improbability(known: Examples) -> Score:
    """The log odds against the most probable class: near 1, probabilities round to the same.

    They have the order of 1 minus its probability (Hendrycks and Gimpel 2017, arXiv 1610.02136).
    """

    def score(features: np.ndarray) -> np.ndarray:
        found = known.classes.logits(features)
        best = found.argmax(1)
        shares = np.exp(found - found.max(1, keepdims=True))
        shares[np.arange(len(best)), best] = 0
        return np.log(shares.sum(1) + LEAST_ODDS)

    return score


def energy(known: Examples) -> Score:
    """The free energy of the class scores (Liu et al. 2020, arXiv 2010.03759)."""

    def score(features: np.ndarray) -> np.ndarray:
        found = known.classes.logits(features)
        highest = found.max(1)
        return -highest - np.log(np.exp(found - highest[:, None]).sum(1))

    return score


MEASURES = {
    "neighbours": distances,
    "relative distance": relative_distance,
    "probability": improbability,
    "energy": energy,
}
"""How to score by known images, by name; of equals the first is used."""


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
