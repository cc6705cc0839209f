"""Temperature scaling: one number per run that calibrates its probabilities."""

import numpy as np

from kerascnn.engine.metrics.standing import LEAST_PROBABILITY, judge

TEMPERATURES = (0.05, 20.0)
"""The search range."""

AS_TRAINED = 1.0
"""The temperature without effect."""


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Fits the temperature with the lowest cross-entropy (Guo et al. 2017, arXiv 1706.04599).

    The labels are smoothed by 1 / (N + 2), as in Platt (1999): otherwise a few images, all
    correct, would make the network almost certain of everything.

    Args:
        probabilities: float [N, K], of validation images.
        labels: int [N].

    Returns:
        The temperature, or 1 if it would not lower the cross-entropy on these images.
    """
    from scipy.optimize import minimize_scalar

    doubt = 1 / (len(labels) + 2)

    def loss(logarithm: float) -> float:
        scaled = tempered(probabilities, float(np.exp(logarithm)))
        of_all = -np.log(np.clip(scaled, LEAST_PROBABILITY, 1)).mean()
        return (1 - doubt) * judge(scaled, labels).score.loss + doubt * float(of_all)

    low, high = np.log(TEMPERATURES)
    best = float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))
    before, after = (judge(tempered(probabilities, t), labels) for t in (AS_TRAINED, best))
    return best if after.score.loss < before.score.loss else AS_TRAINED


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divides the scores before the softmax by a temperature; keeps the order of the classes.

    Args:
        probabilities: float [N, K].

    Returns:
        float64 [N, K]; at a temperature of 1, the probabilities unchanged.
    """
    if temperature == AS_TRAINED:
        return probabilities
    scores = np.log(np.clip(probabilities.astype(np.float64), LEAST_PROBABILITY, 1)) / temperature
    raised = np.exp(scores - scores.max(1, keepdims=True))  # [N, K]
    return raised / raised.sum(1, keepdims=True)
