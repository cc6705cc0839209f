"""Intervals: how sure a measured share or difference is."""

import numpy as np

Z95 = 1.959963984540054
"""The normal distribution's 97.5% quantile."""


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927, doi 10.1080/01621459.1927.10502953).

    Args:
        successes: 0 to trials.
        trials: At least 1.

    Returns:
        Lower and upper bound, in [0, 1].
    """
    share, scale = successes / trials, 1 + Z95**2 / trials
    centre = (share + Z95**2 / (2 * trials)) / scale
    half = Z95 / scale * np.sqrt(share * (1 - share) / trials + Z95**2 / (4 * trials**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def paired_interval(
    before: np.ndarray, after: np.ndarray, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The 95% bootstrap interval of the mean difference of pairs (Efron 1979).

    Args:
        before: [N], such as whether each picture was right before; bool or float.
        after: [N], the same pictures.
        resamples: Bootstrap samples.
        seed: Of the resampling.

    Returns:
        Lower and upper bound of mean(after) - mean(before).
    """
    differences = np.asarray(after, float) - np.asarray(before, float)
    values, counts = np.unique(differences, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(
        len(differences), counts / len(differences), resamples
    )  # [resamples, distinct values]: resampling pairs is drawing how often each value comes
    low, high = np.quantile(drawn @ values / len(differences), [0.025, 0.975])
    return float(low), float(high)
