"""Classification metrics: accuracy with its interval, loss, macro F1, and each class."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kerascnn.engine.metrics.significance import by_image, resampled_means, wilson_interval
from kerascnn.runtime.screen import accuracy, first_rows, screen

LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Standing:
    """How well weights do on the validation images: what decides, then the loss.

    Args:
        metric: The name of the metric that decides; "": the accuracy.
        value: The value of that metric.
        probabilities: Of the validation images, float32 [N, K].
    """

    accuracy: float
    loss: float
    correct: np.ndarray  # for each image, bool [N]
    metric: str = ""
    value: float = 0.0
    greater_is_better: bool = True
    probabilities: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 0), np.float32), repr=False
    )

    @property
    def _rank(self) -> tuple[float, float]:
        deciding = self.value if self.metric else self.accuracy
        return (deciding if self.greater_is_better else -deciding), -self.loss

    def beats(self, other: "Standing | None") -> bool:
        return other is None or self._rank > other._rank


def judge(probabilities: np.ndarray, labels: np.ndarray) -> Standing:
    """Scores probabilities [N, K] by labels [N]: accuracy and mean cross-entropy."""
    correct = probabilities.argmax(1) == labels
    loss = cross_entropy(labels, probabilities)
    return Standing(float(correct.mean()), loss, correct, probabilities=probabilities)


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean of -log of the probability of the true class, which counts as at least 1e-7.

    Args:
        labels: int [N].
        probabilities: float [N, K].
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(of_label, LEAST_PROBABILITY, 1)).mean())


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The number of images by true and most probable class: int [K, K].

    Args:
        labels: int [N].
        probabilities: float [N, K].
    """
    classes = probabilities.shape[1]
    cells = np.bincount(labels * classes + probabilities.argmax(1), minlength=classes**2)
    return cells.reshape(classes, classes)


def macro_f1(confusion: np.ndarray) -> float:
    """The mean F1 of the classes with an image or a prediction, as in scikit-learn.

    Args:
        confusion: From `confusion_matrix`, int [K, K].
    """
    return float(_macro_f1(confusion.diagonal(), confusion.sum(0) + confusion.sum(1)))


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class; 0 / 0 counts as 0."""

    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True)
class Metrics:
    """Metrics of a model on a set of images.

    Args:
        interval: 95% interval of the accuracy (Wilson).
        macro_f1: Mean F1 of the classes with an image or a prediction.
        confusion: [K][K] counts, true class by predicted class.
    """

    images: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    macro_f1: float
    per_class: dict[str, ClassMetrics]
    confusion: list[list[int]]

    def __repr__(self) -> str:
        recalls = [
            (name, f"recall {of.recall:.3f} of {of.images:,} images")
            for name, of in self.per_class.items()
        ]
        return screen(
            f"accuracy {accuracy(self.accuracy, self.interval)} on {self.images:,} images · "
            f"macro F1 {self.macro_f1:.3f} · loss {self.loss:.3f}",
            first_rows(recalls),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(probabilities: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]) -> Metrics:
    """Measures probabilities [N, K] against labels [N]; N at least 1."""
    confusion = confusion_matrix(labels, probabilities)
    standing = judge(probabilities, labels)
    per_class = {name: _of_class(confusion, index) for index, name in enumerate(class_names)}
    return Metrics(
        images=len(labels),
        accuracy=standing.accuracy,
        interval=wilson_interval(int(standing.correct.sum()), len(labels)),
        loss=standing.loss,
        macro_f1=macro_f1(confusion),
        per_class=per_class,
        confusion=confusion.tolist(),
    )


def ranked(probabilities: np.ndarray) -> np.ndarray:
    """The classes of probabilities [..., K], the most probable first.

    Ties keep the order of the classes, so that the first one is that of `argmax`.
    """
    return np.argsort(-probabilities, axis=-1, kind="stable")


def _of_class(confusion: np.ndarray, index: int) -> ClassMetrics:
    hits = int(confusion[index, index])
    predicted, images = int(confusion[:, index].sum()), int(confusion[index].sum())
    return ClassMetrics(
        precision=hits / max(predicted, 1),
        recall=hits / max(images, 1),
        f1=2 * hits / max(predicted + images, 1),
        images=images,
    )


def macro_f1_interval(
    probabilities: np.ndarray, labels: np.ndarray, repeats: int = 1
) -> tuple[float, float]:
    """The 95% bootstrap interval of the macro F1; `repeats` as in `by_image`."""
    classes = np.eye(probabilities.shape[1])
    true, predicted = classes[labels], classes[probabilities.argmax(1)]  # [N, K]
    counts = by_image(np.hstack([true * predicted, true + predicted]), repeats)
    means = resampled_means(counts)
    low, high = np.quantile(_macro_f1(*np.hsplit(means, 2)), [0.025, 0.975])
    return float(low), float(high)


def _macro_f1(hits: np.ndarray, either: np.ndarray) -> Any:
    """By class, [..., K]: `hits`, the correct predictions; `either`, images plus predictions."""
    there = either > 0
    return (2 * hits / np.where(there, either, 1)).sum(-1) / there.sum(-1)
