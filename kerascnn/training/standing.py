"""How weights do on the validation images, and which do better."""

from dataclasses import dataclass

import numpy as np

LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Score:
    """How the weights do on the validation images; greater is better."""

    accuracy: float
    loss: float

    def beats(self, other: "Score | None") -> bool:
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


@dataclass(frozen=True)
class Standing:
    """A score and, for each validation image, whether it was right: bool [N]."""

    score: Score
    correct: np.ndarray


def judge(probabilities: np.ndarray, labels: np.ndarray) -> Standing:
    """Scores probabilities [N, K] by labels [N]: accuracy and mean cross-entropy."""
    of_label = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.clip(of_label, LEAST_PROBABILITY, 1)).mean())
    correct = probabilities.argmax(1) == labels
    return Standing(Score(float(correct.mean()), loss), correct)
