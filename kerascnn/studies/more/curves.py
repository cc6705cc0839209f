"""The learning curves of an experiment's images: overall and by class."""

from dataclasses import dataclass

import numpy as np

from kerascnn.engine.metrics.learning_curve import LearningCurve, estimate, fit_curve
from kerascnn.studies.features.extract import ImageFeatures
from kerascnn.studies.more.heads import Refitted, refit_heads
from kerascnn.studies.more.result import ClassNeed, Point

SHOWN = 60  # points of the expected curve


@dataclass(frozen=True)
class Curves:
    """The curve of all images, and what it says of each class.

    Args:
        heads: What was refitted.
        classes: Those that profit most come first.
        profits: Probability that the first class profits most.
    """

    heads: Refitted
    overall: LearningCurve
    classes: list[ClassNeed]
    profits: float


def learning_curves(features: ImageFeatures, wished: float) -> Curves:
    """Refits heads on parts of the images and fits the curves.

    Args:
        wished: The accuracy, and the recall of each class, that is asked about.
    """
    images = features.images
    heads = refit_heads(features.values, images.labels, images.folds, images.classes)
    classes, drawn = list[ClassNeed](), list[np.ndarray]()
    for label in np.unique(images.labels):
        need, gains = _of_class(
            images.data.class_names[label], images.labels == label, heads, wished
        )
        classes.append(need)
        drawn.append(gains)
    order = np.argsort([-one.gain.value for one in classes], kind="stable")
    together = np.stack([gains[: min(map(len, drawn))] for gains in drawn])  # [K, D]
    profits = float((together.argmax(0) == order[0]).mean())
    overall = fit_curve(heads.sizes, heads.wrong)
    return Curves(heads, overall, [classes[place] for place in order], profits)


def _of_class(
    name: str, rows: np.ndarray, heads: Refitted, wished: float
) -> tuple[ClassNeed, np.ndarray]:
    """A class, and draws of what its recall gains by twice as many images: [D]."""
    count = int(rows.sum())
    curve = fit_curve(heads.sizes * rows.mean(), heads.wrong[:, rows])
    now, doubled = curve.accuracies(np.array([count, 2 * count])).T
    need = ClassNeed(
        name=name,
        images=count,
        recall=estimate(now),
        doubled=estimate(doubled),
        gain=estimate(doubled - now),
        needed=curve.needed(wished),
    )
    return need, doubled - now


def expected_points(curve: LearningCurve) -> list[Point]:
    """The accuracy expected from the smallest number of images up to the horizon."""
    numbers = np.geomspace(curve.sizes[0], curve.horizon, SHOWN)
    return [Point(round(number), curve.accuracy(number)) for number in numbers]
