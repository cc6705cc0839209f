"""What probabilities are worth: accuracy with its interval, and each class for itself."""

from dataclasses import asdict, dataclass
from typing import Any, TypedDict, cast

import numpy as np

from kerascnn.engine.metrics.significance import resampled_means, wilson_interval
from kerascnn.engine.metrics.standing import judge
from kerascnn.runtime.screen import accuracy, first_rows, screen

CALIBRATION_BINS = 15
"""As many as Guo et al. 2017 (arXiv 1706.04599) use."""


@dataclass(frozen=True)
class ClassMetrics:
    """How one class fares; a share of nothing counts as 0."""

    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True)
class Metrics:
    """How a model does on a set of images.

    Args:
        interval: 95%, of the accuracy (Wilson).
        macro_f1: The mean over classes, but for those without an image that none is taken for.
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

    def table(self) -> "MetricsTable":
        """For `Result.test`."""
        return cast("MetricsTable", asdict(self))


class ClassTable(TypedDict):
    """`ClassMetrics` in JSON."""

    precision: float
    recall: float
    f1: float
    images: int


class MetricsTable(TypedDict):
    """`Metrics` in JSON."""

    images: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    macro_f1: float
    per_class: dict[str, ClassTable]
    confusion: list[list[int]]


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
        macro_f1=float(_macro_f1(confusion.diagonal(), confusion.sum(0) + confusion.sum(1))),
        per_class=per_class,
        confusion=confusion.tolist(),
    )


def ranked(probabilities: np.ndarray) -> np.ndarray:
    """The classes of probabilities [..., K], the most probable first; of equals the first first.

    So the first of them is that of `argmax`, everywhere.
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


def calibration_bins(probabilities: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """The bin of each image by its greatest probability: int [N], 0 to bins - 1.

    The bins are equally wide; one from a to b holds what is greater than a and at most b.
    """
    return np.clip(np.ceil(probabilities.max(1) * bins).astype(int) - 1, 0, bins - 1)


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS
) -> float:
    """How far the greatest probability is from the share of right predictions (arXiv 1706.04599).

    Args:
        probabilities: float [N, K].
        labels: int [N].
        bins: By the greatest probability, equally wide.

    Returns:
        The mean over images of the gap between mean probability and accuracy in their bin, 0
        to 1.
    """
    gaps = calibration_gaps(probabilities, labels, bins)
    return float(np.abs(gaps.mean(0)).sum())


def calibration_gaps(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS
) -> np.ndarray:
    """Each image's greatest probability less 1 where it is right, in its bin: float [N, bins]."""
    gaps = np.zeros((len(labels), bins))
    right = probabilities.argmax(1) == labels
    rows = np.arange(len(labels))
    gaps[rows, calibration_bins(probabilities, bins)] = probabilities.max(1) - right
    return gaps  # the mean over images is, bin by bin, share × (confidence - accuracy)


def calibration_interval(
    probabilities: np.ndarray, labels: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """The 95% interval of the expected calibration error.

    Few images make the error too great, and bootstrap samples make it greater still: the interval
    is the reversed one (Davison and Hinkley 1997, ISBN 0-521-57471-4, section 5.2), up to what was
    measured at least. It begins at 0 where of calibrated networks one in forty or more would show
    as great an error (Bröcker and Smith 2007, doi 10.1175/WAF993.1). In simulations with 60 to 600
    images it held the true error in 88% to 98% of cases, percentiles of the bootstrap in 0% to
    95%.
    """
    error = expected_calibration_error(probabilities, labels)
    drawn = np.abs(resampled_means(calibration_gaps(probabilities, labels), seed=seed)).sum(1)
    low, high = (max(0.0, 2 * error - float(q)) for q in np.quantile(drawn, [0.975, 0.025]))
    by_chance = np.quantile(errors_by_chance(probabilities, 1000, seed), 0.975)
    return (0.0 if error <= by_chance else low), max(high, error)


def errors_by_chance(probabilities: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """Calibration errors where each prediction is right just as often as it says: [resamples]."""
    confidence, rng = probabilities.max(1), np.random.default_rng(seed)
    bins = np.eye(CALIBRATION_BINS)[calibration_bins(probabilities)]  # [N, bins]
    at_once = max(1, 2**20 // len(bins))
    errors = []
    for done in range(0, resamples, at_once):
        drawn = rng.random((min(at_once, resamples - done), len(bins)))
        errors.append(np.abs((confidence - (drawn < confidence)) @ bins).sum(1) / len(bins))
    return np.concatenate(errors)


def macro_f1_interval(
    probabilities: np.ndarray, labels: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """The 95% bootstrap interval of the macro F1."""
    classes = np.eye(probabilities.shape[1])
    true, predicted = classes[labels], classes[probabilities.argmax(1)]  # [N, K]
    means = resampled_means(np.hstack([true * predicted, true + predicted]), seed=seed)
    low, high = np.quantile(_macro_f1(*np.hsplit(means, 2)), [0.025, 0.975])
    return float(low), float(high)


def _macro_f1(hits: np.ndarray, either: np.ndarray) -> Any:
    """The mean F1 of the classes of which there is anything, as scikit-learn has it.

    Args:
        hits: [..., K] images of a class that are taken for it.
        either: [..., K] images of it, and those taken for it.
    """
    there = either > 0
    return (2 * hits / np.where(there, either, 1)).sum(-1) / there.sum(-1)
