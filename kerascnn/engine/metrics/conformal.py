"""Conformal prediction: thresholds that hold on new images, whatever the network and the images.

The new images must come from where the held-out ones come from, which nothing else was fitted to
(Vovk et al. 2005, ISBN 0-387-00152-2; Angelopoulos and Bates, arXiv 2107.07511).
"""

import math

import numpy as np

from kerascnn.errors import InputError
from kerascnn.runtime.text import counted


def threshold(scores: np.ndarray, share: float, what: str = "", split: str = "validation") -> float:
    """The score that at most a share of new images exceeds, on average over held-out images.

    It is the k-th smallest of n scores, k = ⌈(n + 1)(1 - share)⌉: exact for any n.

    Args:
        scores: Of held-out images, float [N].
        share: 0 to 1, exclusive.
        what: Asks for it, for the message.
        split: The name of their split, for the message; default "validation".

    Raises:
        InputError: k > n: N is too small to say anything of so small a share.
    """
    count = len(scores)
    place = math.ceil((count + 1) * (1 - share) - 1e-9)
    if place > count:
        raise InputError(
            f"{what} needs at least {needed_images(share):,} {split} images, and the run has "
            f"{counted(count, f'{split} image')}."
        )
    return float(np.sort(scores)[place - 1])


def needed_images(share: float) -> int:
    """The least number of held-out images for a threshold that at most a share exceeds."""
    return math.ceil(1 / share - 1 - 1e-9)


def set_threshold(
    probabilities: np.ndarray, labels: np.ndarray, coverage: float, split: str = "validation"
) -> float:
    """The probability that a class must have to be in an image's set.

    Of all ways to choose sets that hold the right class of this share of images, a threshold on the
    probability gives the smallest ones on average (LAC: Sadinle et al., arXiv 1609.00451).

    Args:
        probabilities: Of held-out images, float [N, K].
        labels: int [N].
        coverage: 0 to 1, exclusive.
        split: The name of their split, for the message; default "validation".

    Raises:
        InputError: N is too small.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    return 1 - threshold(1 - of_label, 1 - coverage, f"a coverage of {coverage:g}", split)


def prediction_sets(probabilities: np.ndarray, least: float) -> np.ndarray:
    """The classes in each image's set: bool [N, K], True for one class at least.

    Args:
        probabilities: float [N, K].
        least: From `set_threshold`.
    """
    sets = probabilities >= least
    sets[np.arange(len(sets)), probabilities.argmax(1)] = True
    return sets
