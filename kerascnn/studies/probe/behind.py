"""How far probes are behind the most accurate one, on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.metrics.significance import equally_accurate, holm, paired_interval
from kerascnn.results.compare.results import SURE


@dataclass(frozen=True)
class Behind:
    """How far a probe is behind the most accurate one.

    Args:
        difference: In accuracy, 0 or greater.
        interval: 95%, paired bootstrap, of this difference alone.
        p_value: Exact McNemar, corrected for the number of probes (Holm).
        told_apart: Whether it is less accurate with certainty: p below 0.05.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    told_apart: bool


def behind_best(rights: Sequence[np.ndarray], best: int) -> list[Behind | None]:
    """Compares probes with the best, image by image; None for the best itself.

    Args:
        rights: For each probe whether it is correct on each image, bool [N].
        best: The position of the most accurate one.
    """
    others = [place for place in range(len(rights)) if place != best]
    first = rights[best]
    p_values = holm([equally_accurate(first, rights[at]) for at in others])
    compared: list[Behind | None] = [None] * len(rights)
    for at, p_value in zip(others, p_values, strict=True):
        difference = float(first.mean() - rights[at].mean())
        interval = paired_interval(rights[at], first)
        compared[at] = Behind(difference, interval, p_value, p_value < SURE)
    return compared
