"""Measures of probabilities; each is defined for any set of images with at least one."""

from collections.abc import Sequence

import numpy as np

import kerascnn
from kerascnn import confusion_matrix


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean recall of the classes that have an image."""
    confusion = confusion_matrix(labels, probabilities)
    images = confusion.sum(1)
    there = images > 0
    return float((confusion.diagonal()[there] / images[there]).mean())


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return kerascnn.macro_f1(confusion_matrix(labels, probabilities))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return kerascnn.cross_entropy(labels, probabilities)


def top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """The share of images whose class is among the k most probable; of equals, the first ones."""
    of_label = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    before = (probabilities > of_label) | ((probabilities == of_label) & earlier)  # [N, K]
    return float((before.sum(1) < k).mean())


def quadratic_kappa(labels: np.ndarray, probabilities: np.ndarray, places: Sequence[int]) -> float:
    """Cohen's kappa with quadratic weights (1968, doi 10.1037/h0026256).

    Args:
        places: The place of each class in the order, from 0: [K].

    Returns:
        1 minus the mean squared distance between true and predicted class over that of the same
        classes paired at random; NaN if only one class is true and predicted.
    """
    confusion = confusion_matrix(labels, probabilities)
    apart = np.square(np.subtract.outer(places, places))  # [K, K]
    by_chance = np.outer(confusion.sum(1), confusion.sum(0)) / len(labels)
    expected = (apart * by_chance).sum()
    return float(1 - (apart * confusion).sum() / expected) if expected else float("nan")
