"""Which of what was tried may be the best, and are better together than any chosen by chance."""

from collections.abc import Mapping

import numpy as np

from kerascnn.engine.metrics.choice import not_told_apart
from kerascnn.engine.metrics.race import LOSS, Scoring
from kerascnn.engine.metrics.score import cross_entropy

LARGEST = 3
"""Members of a mean, at most: each costs its time in every prediction. Five were no better
(benchmarks/README.md)."""


def candidates(tried: Mapping[int, np.ndarray], labels: np.ndarray) -> list[int]:
    """The one with the least loss and those that the paired test cannot tell from it, in order.

    Args:
        tried: Calibrated probabilities of the validation images, float [N, K], by number; at least
            one.
        labels: int [N].
    """
    scoring = Scoring(LOSS)
    marks = {number: scoring.marks(said, labels) for number, said in tried.items()}
    others = not_told_apart(scoring, {number: [one] for number, one in marks.items() if one})
    losses = {number: cross_entropy(labels, said) for number, said in tried.items()}
    best, *_ = in_order = sorted(losses, key=losses.__getitem__)
    return [number for number in in_order if number == best or number in others]
