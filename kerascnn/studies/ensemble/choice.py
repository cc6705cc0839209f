"""Chooses an ensemble's weights and views by the validation images, only if that surely helps.

Both are judged by the cross-entropy, image by image: it shows with a hundred images what the
accuracy shows with thousands. The accuracy must not fall.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.preparation import Centred
from kerascnn.engine.metrics.score import LEAST_PROBABILITY
from kerascnn.engine.metrics.significance import mean_error
from kerascnn.engine.network.joined import CENTRE, VIEWS
from kerascnn.engine.network.resampling import resampling
from kerascnn.engine.result.ensemble import Decision

SURE = 0.05
FOLDS = 5
STEPS = 500
LEAST_WEIGHT = 0.01
"""No member is left with less: it would cost as much as the others and decide nothing."""


@dataclass(frozen=True)
class Gain:
    """How much better one set of probabilities is than another, on the same images.

    Args:
        loss: By how much the mean cross-entropy is lower.
        interval: 95%, of the pairs.
        p_value: Two-sided t-test of the pairs.
        accuracy: By how much the accuracy is higher.
    """

    loss: float
    interval: tuple[float, float]
    p_value: float
    accuracy: float

    @property
    def sure(self) -> bool:
        return self.loss > 0 and self.p_value < SURE and self.accuracy >= 0

    def __str__(self) -> str:
        low, high = self.interval
        way = "lower" if self.loss >= 0 else "higher"
        low, high = (low, high) if self.loss >= 0 else (-high, -low)
        return (
            f"cross-entropy {abs(self.loss):.4f} {way} [{low:.4f}, {high:.4f}] "
            f"(p = {self.p_value:.2g}), accuracy {self.accuracy:+.3f}; "
            f"{'better' if self.sure else 'not surely better'}"
        )


def gain(before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> Gain:
    """Compares probabilities float [N, K] by labels int [N]."""
    from scipy.stats import t

    rows = np.arange(len(labels))
    scores = [np.log(np.clip(of[rows, labels], LEAST_PROBABILITY, 1)) for of in (before, after)]
    difference = scores[1] - scores[0]
    squared, freedom = mean_error(difference)
    mean, error = float(difference.mean()), squared**0.5
    half = float(t.ppf(0.975, freedom)) * error
    return Gain(
        mean,
        (mean - half, mean + half),
        2 * float(t.sf(abs(mean) / error, freedom)) if error else float(not mean),
        float((after.argmax(1) == labels).mean() - (before.argmax(1) == labels).mean()),
    )


def choose_weights(members: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, Decision]:
    """Equal weights, or those of stacking (Wolpert 1992, doi 10.1016/S0893-6080(05)80023-1).

    Args:
        members: Calibrated probabilities of the validation images, float [M, N, K].
        labels: int [N].

    Returns:
        Weights float [M] that sum to 1, and why.
    """
    count = len(members)
    equal = np.full(count, 1 / count)
    stacked = np.empty(members.shape[1:])
    folds = np.random.default_rng(0).permutation(len(labels)) % FOLDS
    for fold in range(FOLDS):
        rows = folds == fold
        weights = fit_weights(members[:, ~rows], labels[~rows])
        stacked[rows] = np.tensordot(weights, members[:, rows], 1)
    found = gain(np.tensordot(equal, members, 1), stacked, labels)
    why = f"stacking, out of {FOLDS} folds of the validation images, against equal weights: {found}"
    if not found.sure:
        return equal, Decision(what="weights", chosen="equal", why=why)
    weights = fit_weights(members, labels)
    shown = ", ".join(f"{weight:.2f}" for weight in weights)
    return weights, Decision(what="weights", chosen=shown, why=why)


def fit_weights(members: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The weights of the mixture with the lowest cross-entropy, float [M].

    By expectation and maximisation (Dempster et al. 1977), from equal weights.

    Args:
        members: Probabilities float [M, N, K].
        labels: int [N].
    """
    rows = np.arange(len(labels))
    of_label = np.clip(members[:, rows, labels], LEAST_PROBABILITY, 1)  # [M, N]
    weights = np.full(len(members), 1 / len(members))
    for _ in range(STEPS):
        shares = weights[:, None] * of_label
        weights = (shares / shares.sum(0)).mean(1)
    weights = np.maximum(weights, LEAST_WEIGHT)
    return weights / weights.sum()


def choose_views(
    plain: np.ndarray,
    images: Centred,
    predict: Callable[[Any], np.ndarray],
    labels: np.ndarray,
) -> tuple[int, Decision]:
    """The number of views to average over: each step must be better than the one before it.

    Args:
        plain: Probabilities of the validation images as they are, float [N, K].
        images: Those images, uint8 [N, S, S, 3].
        predict: Gives the probabilities [N, K] of such images.
        labels: int [N].
    """
    chosen, why = 1, ""
    mirrored = (plain + predict(Seen(images, mirror))) / 2
    steps = {2: lambda: mirrored, 4: lambda: _with_centres(mirrored, images, predict)}
    for views, probabilities in steps.items():
        better = probabilities()
        found = gain(plain, better, labels)
        why = f"{VIEWS[views]} against {VIEWS[chosen]}, on the validation images: {found}"
        if not found.sure:
            break
        chosen, plain = views, better
    return chosen, Decision(what="views", chosen=VIEWS[chosen], why=why)


def _with_centres(
    mirrored: np.ndarray, images: Centred, predict: Callable[[Any], np.ndarray]
) -> np.ndarray:
    centres = [predict(Seen(images, centre)), predict(Seen(images, lambda of: mirror(centre(of))))]
    return (mirrored + np.mean(centres, axis=0)) / 2


@dataclass(frozen=True)
class Seen:
    """Images as a view shows them, indexed like the images."""

    images: Centred  # uint8 [N, S, S, 3]
    view: Callable[[np.ndarray], np.ndarray]  # of [B, S, S, 3]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: slice) -> np.ndarray:
        return self.view(np.asarray(self.images[chosen], np.float32))


def mirror(images: np.ndarray) -> np.ndarray:
    return images[:, :, ::-1]


def centre(images: np.ndarray) -> np.ndarray:
    """The central part of images float [B, S, S, 3], enlarged as `engine.network.joined` does."""
    size = images.shape[1]
    packed = round(size / CENTRE)
    matrix = resampling(size, packed)[(packed - size) // 2 :][:size]
    rows = np.einsum("oh,bhwc->bowc", matrix, images, optimize=True)
    return np.einsum("ow,bhwc->bhoc", matrix, rows, optimize=True)
