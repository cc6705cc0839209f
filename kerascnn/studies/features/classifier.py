"""A linear probe: multinomial logistic regression on features, judged out of fold."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from kerascnn.studies.features.scaling import standardized

PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 1e-3, 3e-4)
"""Of the squared weights, for features of unit variance, the strongest first."""
ITERATIONS = 100
TOLERANCE = 1e-5
"""Relative decrease of the loss at which a fit ends."""


def out_of_fold(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int
) -> np.ndarray:
    """Predicts each image by a probe that was fitted on the images of the other folds.

    Their penalty is chosen inside them: each of these folds is predicted by probes fitted on the
    rest, and the penalty with the least cross-entropy is taken (nested cross-validation: Varma and
    Simon 2006, doi 10.1186/1471-2105-7-91).

    Args:
        features: float32 [N, F].
        labels: int [N], 0 to K - 1.
        folds: The fold of each image, int [N]; three or more.
        classes: K.

    Returns:
        Probabilities, float32 [N, K].
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # the products are too small to be worth dividing
        return _out_of_fold(features, labels, folds, classes)


def _out_of_fold(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int
) -> np.ndarray:
    numbers = np.unique(folds)
    losses = {fold: list[float]() for fold in numbers}  # by penalty, of the folds that remain
    paths = [
        (pair, _path(features, labels, ~np.isin(folds, pair), classes))
        for pair in combinations(numbers, 2)
    ]
    for _ in PENALTIES:
        for of_fold in losses.values():
            of_fold.append(0.0)
        for pair, path in paths:
            logs = next(path)
            for left_out, predicted in (pair, pair[::-1]):
                rows = np.flatnonzero(folds == predicted)
                losses[left_out][-1] -= float(logs[rows, labels[rows]].sum())
        if all(of_fold[-1] > min(of_fold) for of_fold in losses.values()):
            break  # weaker penalties only overfit more
    probabilities = np.empty((len(labels), classes), np.float32)
    for fold, of_fold in losses.items():
        path = _path(features, labels, folds != fold, classes)
        *_, logs = (next(path) for _ in range(int(np.argmin(of_fold)) + 1))
        probabilities[folds == fold] = np.exp(logs[folds == fold])
    return probabilities


def _path(
    features: np.ndarray, labels: np.ndarray, fitted: np.ndarray, classes: int
) -> Iterator[np.ndarray]:
    """Log probabilities of all images, float64 [N, K], by a probe for each of the penalties.

    Each fit on the images `fitted`, bool [N], starts from the one before.
    """
    targets = np.eye(classes, dtype=np.float32)[labels[fitted]]
    weights = np.zeros((features.shape[1] + 1, classes), np.float32)
    for penalty in PENALTIES:
        inputs = _inputs(features, fitted)  # not kept: ten paths are under way at a time
        weights = fit_weights(inputs[fitted], targets, weights, penalty)
        yield log_softmax(inputs @ weights)


def _inputs(features: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Features of unit variance, with a column of ones: float32 [N, F + 1]."""
    inputs = np.ones((len(features), features.shape[1] + 1), np.float32)
    inputs[:, :-1] = standardized(features, features[fitted])
    return inputs


def fit_weights(
    inputs: np.ndarray, targets: np.ndarray, start: np.ndarray, penalty: float
) -> np.ndarray:
    """The weights [F + 1, K] of the least mean cross-entropy plus penalty / 2 · their squared sum.

    The last row, the intercepts, costs nothing. By L-BFGS (Liu and Nocedal 1989, doi
    10.1007/BF01589116), the products in float32.
    """
    from scipy.optimize import minimize

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape).astype(np.float32)
        logs = log_softmax(inputs @ weights)
        slopes = inputs.T @ ((np.exp(logs) - targets) / len(inputs)).astype(np.float32)
        slopes[:-1] += penalty * weights[:-1]
        squared = float((weights[:-1].astype(np.float64) ** 2).sum())
        cross_entropy = -float((logs * targets).sum()) / len(inputs)
        return cross_entropy + penalty / 2 * squared, slopes.ravel().astype(np.float64)

    options = {"maxiter": ITERATIONS, "ftol": TOLERANCE, "gtol": 0.0}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(start.shape).astype(np.float32)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log probabilities float64 [N, K] of scores [N, K]."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
