"""The score of weights on the validation images, to choose the best."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Score:
    """Accuracy and loss on the validation images; accuracy decides, then the loss."""

    accuracy: float
    loss: float

    def beats(self, other: "Score | None") -> bool:
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


@dataclass(frozen=True)
class Standing:
    """A score and, for each validation image, whether its prediction is correct: bool [N]."""

    score: Score
    correct: np.ndarray

    def beats(self, other: "Standing | None") -> bool:
        return self.score.beats(other.score if other else None)

    def to_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"score": asdict(self.score), "correct": self.correct}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Standing":
        return cls(Score(**state["score"]), state["correct"])


def judge(probabilities: np.ndarray, labels: np.ndarray) -> Standing:
    """Scores probabilities [N, K] by labels [N]: accuracy and mean cross-entropy."""
    of_label = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.clip(of_label, LEAST_PROBABILITY, 1)).mean())
    correct = probabilities.argmax(1) == labels
    return Standing(Score(float(correct.mean()), loss), correct)
