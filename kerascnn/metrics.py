"""What probabilities are worth: accuracy with its interval, and each class for itself."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerascnn.statistics import wilson_interval
from kerascnn.training.standing import judge


@dataclass(frozen=True)
class ClassMetrics:
    """How one class fares; a share of nothing counts as 0."""

    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True)
class Metrics:
    """How a model does on a set of pictures.

    Args:
        interval: 95%, of the accuracy (Wilson).
        confusion: [K][K] counts, true class by predicted class.
    """

    images: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    macro_f1: float
    per_class: dict[str, ClassMetrics]
    confusion: list[list[int]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(probabilities: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]) -> Metrics:
    """Measures probabilities [N, K] against labels [N]; N at least 1."""
    classes = len(class_names)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, probabilities.argmax(1)), 1)
    standing = judge(probabilities, labels)
    per_class = {name: _of_class(confusion, index) for index, name in enumerate(class_names)}
    return Metrics(
        images=len(labels),
        accuracy=standing.score.accuracy,
        interval=wilson_interval(int(standing.correct.sum()), len(labels)),
        loss=standing.score.loss,
        macro_f1=float(np.mean([metrics.f1 for metrics in per_class.values()])),
        per_class=per_class,
        confusion=confusion.tolist(),
    )


def _of_class(confusion: np.ndarray, index: int) -> ClassMetrics:
    hits = int(confusion[index, index])
    predicted, images = int(confusion[:, index].sum()), int(confusion[index].sum())
    return ClassMetrics(
        precision=hits / max(predicted, 1),
        recall=hits / max(images, 1),
        f1=2 * hits / max(predicted + images, 1),
        images=images,
    )
