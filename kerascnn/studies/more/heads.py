"""Heads that learn from a part of the images: what each gets wrong, and how sure one is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kerascnn.studies.features.classifier import PENALTIES, fit_weights, log_softmax
from kerascnn.studies.features.scaling import standardized

FEWEST = 0.1  # of the images
NUMBERS = 8  # of images, from the fewest to all
REPEATS = 4  # of drawing subsets; fewer with more images, which vary less
_REPEATED = 4000  # predictions of heads by all repeats


@dataclass(frozen=True)
class Refitted:
    """What heads got wrong that learned from more and more images.

    Args:
        sizes: Mean number of images that a head learned from, rising, float [M].
        wrong: Of each repeat, whether each image was predicted wrongly by the head that had not
            seen it: bool [R, N, M].
        penalty: That suits heads which learn from most images.
    """

    sizes: np.ndarray
    wrong: np.ndarray
    penalty: float


def refit_heads(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int, seed: int = 0
) -> Refitted:
    """Refits a linear head on 10% to 100% of the images of all folds but one, for each fold.

    A smaller subset is part of the larger ones, and all have the shares of the classes. The
    penalty of the weights is chosen for each number of images by the loss on the other folds.

    Args:
        features: float32 [N, F].
        labels: int [N], 0 to K - 1.
        folds: The fold of each image, int [N]; three or more.
        classes: K.
        seed: Of the subsets.
    """
    from threadpoolctl import threadpool_limits

    rng, numbers = np.random.default_rng(seed), np.unique(folds)
    repeats = int(np.clip(_REPEATED // len(labels), 1, REPEATS))
    shares = np.geomspace(FEWEST, 1, NUMBERS)
    wrong = np.empty((repeats, len(labels), NUMBERS), np.bool_)
    chosen = dict[tuple[int, int], float]()
    with threadpool_limits(1, "blas"):  # the products are too small to be worth dividing
        for repeat in range(repeats):
            orders = [nested(labels, np.flatnonzero(folds != fold), rng) for fold in numbers]
            for at, share in enumerate(shares):
                if repeat and share == 1:  # the same heads as in the first repeat
                    wrong[repeat, :, at] = wrong[0, :, at]
                    continue
                parts = [order[: max(classes, round(share * len(order)))] for order in orders]
                if not repeat:
                    penalties = _penalties(features, labels, folds, parts, classes)
                    chosen |= {(at, place): one for place, one in enumerate(penalties)}
                for place, (fold, part) in enumerate(zip(numbers, parts, strict=True)):
                    rows = np.flatnonzero(folds == fold)
                    ladder = [one for one in PENALTIES if one >= chosen[at, place]][-2:]
                    *_, logs = paths(features, labels, part, rows, classes, ladder)
                    wrong[repeat, rows, at] = logs.argmax(1) != labels[rows]
    learned = np.mean([len(order) for order in orders])
    return Refitted(
        shares * learned, wrong, float(np.median(list(chosen.values())[-len(orders) :]))
    )


def nested(labels: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows in an order of which every beginning has about the shares of the classes."""
    place, own = np.empty(len(rows)), labels[rows]
    for label in np.unique(own):
        at = rng.permutation(np.flatnonzero(own == label))
        place[at] = (np.arange(len(at)) + rng.random()) / len(at)
    return rows[np.argsort(place, kind="stable")]


def _penalties(
    features: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    parts: Sequence[np.ndarray],
    classes: int,
) -> list[float]:
    """For each fold the penalty with the least loss on the other folds' images."""
    every = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    ways = [
        paths(features, labels, part, rows, classes)
        for part, rows in zip(parts, every, strict=True)
    ]
    losses = list[list[float]]()  # of each penalty, by fold
    for _ in PENALTIES:
        logs = [next(way) for way in ways]
        losses.append(
            [
                -float(of[np.arange(len(rows)), labels[rows]].sum())
                for of, rows in zip(logs, every, strict=True)
            ]
        )
        others = np.sum(losses, 1, keepdims=True) - np.array(losses)  # [P, folds]
        if (others[-1] > others.min(0)).all():
            break  # weaker penalties only overfit more
    return [PENALTIES[place] for place in others.argmin(0)]


def paths(
    features: np.ndarray,
    labels: np.ndarray,
    learned: np.ndarray,
    judged: np.ndarray,
    classes: int,
    penalties: Sequence[float] = PENALTIES,
) -> Iterator[np.ndarray]:
    """Log probabilities [M, K] of the rows `judged` by heads that learned from the rows `learned`.

    There is one head for each penalty, strongest first; each fit starts from the one before.
    """
    inputs, others = _inputs(features[learned], features[judged])
    targets = np.eye(classes, dtype=np.float32)[labels[learned]]
    weights = np.zeros((inputs.shape[1], classes), np.float32)
    for penalty in penalties:
        weights = fit_weights(inputs, targets, weights, penalty)
        yield log_softmax(others @ weights)


def _inputs(learned: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of unit variance, with a column of ones.

    The best weights are in the span of the images learned from: if these are few, all features
    are turned into it, which changes no prediction and saves most of the time.
    """
    learned, judged = standardized(learned), standardized(judged, learned)
    if 2 * len(learned) < learned.shape[1]:
        values, vectors = np.linalg.eigh(learned @ learned.T)
        kept = values > 1e-6 * values[-1]
        turn = (learned.T @ (vectors[:, kept] / np.sqrt(values[kept]))).astype(np.float32)
        learned, judged = learned @ turn, judged @ turn
    first, second = (
        np.concatenate([of, np.ones((len(of), 1), np.float32)], axis=1) for of in (learned, judged)
    )
    return first, second
