"""Learning curves: how the error falls as images are added, by a law with its uncertainty.

The law is a piecewise power law (Jain et al. 2023, arXiv 2303.01598): log(error) is quadratic in
log(images) up to a switch, and linear, a power law, beyond it.
"""

from dataclasses import dataclass

import numpy as np

HORIZON = 5.0
"""How many times the greatest number of images measured a curve may be asked about."""
LEVEL = 0.9
"""Of all intervals here."""

DRAWS = 4000
SWITCHES = 16  # places of the switch, from the smallest number of images to the horizon
GRID = 400  # numbers of images at which a law is looked up

# The prior: the power, which Hestness et al. (2017, arXiv 1712.00409) found between -0.07 and -0.35
# for images, speech and text, and how fast it changes.
POWER, POWER_DEVIATION = -0.3, 0.2
LEVEL_DEVIATION = 2.0  # of log(error) at the greatest number measured
BEND_DEVIATION = 0.1

LACK_OF_FIT = 0.03  # of log(error): no curve is exactly such a law
# The heads of one dataset share most of their images, which makes the variance look smaller than it
# is (Bengio and Grandvalet 2004, jmlr.org/papers/v5/grandvalet04a.html): benchmarks/more.py.
OVERLAP = 1.25


@dataclass(frozen=True)
class Estimate:
    """A value with its 90% interval.

    Args:
        value: The median.
        low: 5% quantile.
        high: 95% quantile.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Needed:
    """How many images a wished accuracy takes.

    Args:
        images: The median; None if that is beyond the horizon, which cannot be foreseen.
        low, high: The 90% interval; None where it ends beyond the horizon.
        probability: That the accuracy is reached up to the horizon, 0 to 1.
    """

    images: int | None
    low: int | None
    high: int | None
    probability: float


@dataclass(frozen=True)
class LearningCurve:
    """Errors measured with some numbers of images, and the laws that may be behind them.

    Args:
        sizes: Numbers of images to learn from, rising, float [M].
        errors: Measured with each, float [M].
        laws: Level, slope, bend and switch of laws as probable as the curve makes them: [D, 4].
    """

    sizes: np.ndarray
    errors: np.ndarray
    laws: np.ndarray

    @property
    def horizon(self) -> float:
        """The greatest number of images that may be asked about."""
        return HORIZON * float(self.sizes[-1])

    def accuracy(self, images: float) -> Estimate:
        """That which is expected with a number of images, up to the horizon."""
        return estimate(self.accuracies(np.array([images]))[:, 0])

    def accuracies(self, images: np.ndarray) -> np.ndarray:
        """By each law, with each of M numbers of images: [D, M]."""
        level, slope, bend, switch = (column[:, None] for column in self.laws.T)
        place = np.log(images / self.sizes[-1])
        logs = level + slope * place + bend * np.minimum(place - switch, 0) ** 2
        return 1 - np.exp(np.minimum(logs, 0))

    def needed(self, accuracy: float) -> Needed:
        """The images from which on an accuracy, 0 to 1, is reached.

        Fewer than the fewest measured are not looked at.
        """
        grid = np.geomspace(self.sizes[0], self.horizon, GRID)
        short = self.accuracies(grid) < accuracy  # [D, GRID]
        last = np.where(short.any(1), GRID - 1 - short[:, ::-1].argmax(1), -1)
        counts = [*np.ceil(grid).astype(int).tolist(), None]
        places = np.quantile(last + 1, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], method="higher")
        low, images, high = (counts[place] for place in places)
        return Needed(images, low, high, probability=float((~short[:, -1]).mean()))


def estimate(draws: np.ndarray) -> Estimate:
    """Median and 90% interval of draws [D]."""
    low, value, high = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def fit_curve(sizes: np.ndarray, wrong: np.ndarray, seed: int = 0) -> LearningCurve:
    """Fits the law to what heads get wrong that learned from more and more images.

    For each place of the switch the law is linear in its parameters, so that their posterior is
    known exactly; places count by their evidence.

    Args:
        sizes: Numbers of images to learn from, rising, [M]; three or more.
        wrong: Of each repeat, whether each image was predicted wrongly by a head that had not
            seen it: bool or float [R, N, M].
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    errors, covariance = _measured(np.asarray(wrong, float))
    place = np.log(sizes / sizes[-1])
    covariance = OVERLAP * covariance + LACK_OF_FIT**2 * np.eye(len(sizes))
    switches = np.linspace(place[0], np.log(HORIZON), SWITCHES)
    prior = np.array([np.log(errors[-1]), POWER, 0.0])
    spread = np.diag(np.square([LEVEL_DEVIATION, POWER_DEVIATION, BEND_DEVIATION]))
    evidence, laws = [], []
    for switch in switches:
        terms = np.stack([np.ones_like(place), place, np.minimum(place - switch, 0) ** 2], 1)
        whole = terms @ spread @ terms.T + covariance  # [M, M]
        off = np.log(errors) - terms @ prior
        gain = np.linalg.solve(whole, terms @ spread).T
        evidence.append(-(off @ np.linalg.solve(whole, off) + np.linalg.slogdet(whole)[1]) / 2)
        laws.append((prior + gain @ off, spread - gain @ terms @ spread))
    weights = np.exp(np.array(evidence) - max(evidence))
    counts = rng.multinomial(DRAWS, weights / weights.sum())
    drawn = [
        np.column_stack([rng.multivariate_normal(*law, count), np.full(count, switch)])
        for law, count, switch in zip(laws, counts, switches, strict=True)
        if count
    ]
    return LearningCurve(np.asarray(sizes, float), errors, _falling(np.concatenate(drawn)))


def _measured(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The errors [M], and the covariance of their logarithms [M, M].

    The covariance is what a bootstrap of images and repeats tends to with many samples (Owen 2007,
    arXiv 0711.2405). An image that is half wrong is added, so that no error is 0.
    """
    repeats, _, numbers = wrong.shape
    wrong = np.concatenate([wrong, np.full((repeats, 1, numbers), 0.5)], axis=1)
    errors, covariance = wrong.mean((0, 1)), np.zeros((numbers, numbers))
    for axis in (0, 1):
        means = wrong.mean(axis)  # of each image, then of each repeat
        if len(means) > 1:
            covariance += np.cov(means, rowvar=False) / len(means)
    return errors, covariance / np.outer(errors, errors)


def _falling(laws: np.ndarray) -> np.ndarray:
    """Those of laws [D, 4] by which more images never do harm; the flattest if there are none."""
    _, slope, bend, switch = laws.T
    rise = np.maximum(slope, slope + 2 * bend * np.minimum(-switch, 0))  # steepest beyond
    falling = laws[rise <= 0]
    return falling if len(falling) else laws[[rise.argmin()]]
