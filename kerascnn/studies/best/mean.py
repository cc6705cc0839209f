"""Which of what was tried are better together: the mean of their calibrated probabilities."""

from collections.abc import Mapping

import numpy as np

from kerascnn.engine.metrics.score import cross_entropy

LARGEST = 5
"""Members, at most: each costs its time in every prediction."""
LEAST_GAIN = 0.01
"""Of the loss: the share by which a member has to lower it."""


def choose_members(tried: Mapping[int, np.ndarray], labels: np.ndarray) -> tuple[int, ...]:
    """The members of the best ensemble, chosen one after another, the best one first.

    By the cross-entropy on the validation images (ensemble selection, Caruana et al. 2004, doi
    10.1145/1015330.1015432), each at most once.

    Args:
        tried: Calibrated probabilities of the validation images, float [N, K], by number.
        labels: int [N].
    """
    chosen: list[int] = []
    total, least = np.zeros(()), np.inf
    while len(chosen) < min(LARGEST, len(tried)):
        sums = {number: total + of for number, of in tried.items() if number not in chosen}
        losses = {of: cross_entropy(labels, each / (len(chosen) + 1)) for of, each in sums.items()}
        best = min(losses, key=losses.__getitem__)
        if losses[best] > (1 - LEAST_GAIN) * least:
            break
        chosen.append(best)
        total, least = sums[best], losses[best]
    return tuple(chosen)
