"""Uncertainty of measured shares and differences: intervals and paired tests."""

from collections.abc import Iterator, Sequence

import numpy as np

Z95 = 1.959963984540054
"""The normal distribution's 97.5% quantile."""

RESAMPLES = 1000
_AT_ONCE = 2**20  # rows drawn at a time, 8 bytes each


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
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


def by_image(values: np.ndarray, repeats: int) -> np.ndarray:
    """The mean of each image's values over the repeats of a study: [N, ...] of [R * N, ...].

    Repeats say nothing about other images, so whatever is said of these is computed of the N means.
    """
    return values.reshape(repeats, -1, *values.shape[1:]).mean(0)


def repeated_interval(shares: np.ndarray) -> tuple[float, float]:
    """The 95% interval of the mean of shares: Wilson's, of as many images as these are worth.

    They are worth p (1 - p) / variance images (Rao and Scott 1992, doi 10.2307/2532311): exactly
    their number if each is 0 or 1, more where predictions of one image vary from repeat to repeat.

    Args:
        shares: Of the predictions for each image, those that are correct: [N].
    """
    mean, count = float(shares.mean()), len(shares)
    variance = float(shares.var())
    worth = count * mean * (1 - mean) / variance if variance else float(count)
    return wilson_interval(mean * worth, worth)


def repeated_test(differences: np.ndarray) -> float:
    """The two-sided p-value that the mean of N differences is 0, one of each image (t-test).

    `mcnemar` counts images; this takes the place of it where each has several predictions.
    """
    from scipy.stats import ttest_1samp

    if not np.ptp(differences):
        return float(not differences.any())
    return float(ttest_1samp(differences, 0).pvalue)


def paired_interval(
    before: np.ndarray, after: np.ndarray, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The 95% bootstrap interval of the mean difference of pairs (Efron 1979).

    Args:
        before: [N], for example whether each image was correct before; bool or float.
        after: [N], the same images.
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        Lower and upper bound of mean(after) - mean(before).
    """
    differences = np.asarray(after, float) - np.asarray(before, float)
    values, counts = np.unique(differences, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(
        len(differences), counts / len(differences), resamples
    )  # [resamples, distinct values]: resampling pairs draws the count of each value
    low, high = np.quantile(drawn @ values / len(differences), [0.025, 0.975])
    return float(low), float(high)


def f1_interval(hits: float, misses: float) -> tuple[float, float]:
    """The 95% interval of an F1 score: that of hits / (hits + misses), which rises with F1.

    The "Wilson indirect" method of Lam et al. 2023 (arXiv 2309.14621).

    Args:
        hits: True positives.
        misses: False negatives plus false positives; hits + misses is at least 1.
    """
    low, high = wilson_interval(hits, hits + misses)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def resampled_means(rows: np.ndarray) -> np.ndarray:
    """The means of bootstrap samples (Efron 1979) of rows [N, M], one per image: [RESAMPLES, M].

    The samples are the same for all runs on the same images.
    """
    count, rng = len(rows), np.random.default_rng(0)
    at_once = max(1, _AT_ONCE // count)
    means = []
    for done in range(0, RESAMPLES, at_once):
        samples = min(at_once, RESAMPLES - done)
        drawn = rng.integers(count, size=(samples, count)) + count * np.arange(samples)[:, None]
        often = np.bincount(drawn.ravel(), minlength=samples * count).reshape(samples, count)
        means.append(often @ rows / count)  # [samples, M]
    return np.concatenate(means)


def resamples(count: int, times: int) -> Iterator[np.ndarray]:
    """Bootstrap samples of `count` rows, int [count] each: those of `resampled_means`."""
    rng = np.random.default_rng(0)
    for _ in range(times):
        yield rng.integers(count, size=count)


def mcnemar(first_alone: int, second_alone: int) -> float:
    """The exact two-sided p-value that two networks are equally accurate (McNemar 1947,
    doi 10.1007/BF02295996).

    Args:
        first_alone: Images on which only the first is correct.
        second_alone: Images on which only the second is correct.
    """
    from scipy.stats import binomtest

    apart = first_alone + second_alone
    return float(binomtest(first_alone, apart).pvalue) if apart else 1.0


def equally_accurate(first: np.ndarray, second: np.ndarray) -> float:
    """`mcnemar` of two networks on the same images, by whether each image is right: bool [N]."""
    return mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))


def images_needed(difference: float, apart: float, alpha: float, power: float = 0.8) -> int:
    """The number of images `mcnemar` needs to show a difference (Connor 1987, doi 10.2307/2531961).

    Args:
        difference: In accuracy, greater than 0.
        apart: The share of images on which only one of the two networks is correct.
        alpha: Significance level.
        power: Probability of showing the difference.
    """
    from scipy.stats import norm

    apart = max(apart, difference)
    spread = norm.isf(alpha / 2) * np.sqrt(apart) + norm.ppf(power) * np.sqrt(apart - difference**2)
    all_one_way = np.log2(2 / alpha) / difference  # fewer discordant images cannot be significant
    return int(np.ceil(max((spread / difference) ** 2, all_one_way)))


def detectable_difference(images: int, apart: float, alpha: float) -> float | None:
    """The smallest difference in accuracy that the images can show with a power of 80%.

    Returns:
        None if they cannot show any difference; for the arguments see `images_needed`.
    """
    counts = range(1, images + 1)
    shown = (n / images for n in counts if images_needed(n / images, apart, alpha) <= images)
    return next(shown, None)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in their order (Holm 1979, jstor.org/stable/4615733).

    At a level of 0.05, the probability of one or more false positives is at most 5%.
    """
    count, order = len(p_values), np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, float)[order] * np.arange(count, 0, -1)
    corrected = np.empty(count)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected.tolist()


def grouped_difference(
    first: np.ndarray, second: np.ndarray
) -> tuple[float, tuple[float, float], float]:
    """Compares two groups of networks on the same images; networks and images are random samples.

    The variances among images and among networks are added, as in Clark's min F' (1973, doi
    10.1016/S0022-5371(73)80014-3), which is conservative. In simulations of groups that differ in
    the seed only, 0.6% to 4.2% had a p-value below 0.05 with 3 or 5 seeds each, up to 6.3% with 2.

    Args:
        first: [S, N], whether each of S networks is correct on each image; S at least 2.
        second: [T, N], the same images; T at least 2.

    Returns:
        mean(first) - mean(second), its 95% interval, and the two-sided p-value of no difference.
    """
    from scipy.stats import t

    by_image = first.mean(0) - second.mean(0)  # [N]
    difference = float(by_image.mean())
    error, freedom = combined(
        [mean_error(one) for one in (by_image, first.mean(1), second.mean(1))]
    )
    if not error:
        return difference, (difference, difference), float(difference == 0)
    half = float(t.ppf(0.975, freedom)) * error
    p_value = 2 * float(t.sf(abs(difference) / error, freedom))
    return difference, (max(-1.0, difference - half), min(1.0, difference + half)), p_value


def mean_error(sample: np.ndarray) -> tuple[float, int]:
    """The squared standard error of the mean of a sample [N], and its degrees of freedom."""
    return float(sample.var(ddof=1)) / len(sample), len(sample) - 1


def combined(errors: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """The standard error of a sum of independent terms, and its degrees of freedom.

    They are Satterthwaite's (1946, doi 10.2307/3002019).

    Args:
        errors: The squared standard error and the degrees of freedom of each term.
    """
    whole = sum(squared for squared, _ in errors)
    parts = sum(squared**2 / freedom for squared, freedom in errors if squared)
    return whole**0.5, whole**2 / parts if parts else np.inf
