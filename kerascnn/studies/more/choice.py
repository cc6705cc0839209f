"""Which images to label next: those that the head is unsure of and that resemble no other."""

import numpy as np

from kerascnn.engine.metrics.neighbours import of_unit_length
from kerascnn.studies.features.scaling import standardized


def choose(
    probabilities: np.ndarray, features: np.ndarray, known: np.ndarray, count: int
) -> np.ndarray:
    """The images to label next, the most useful first.

    Each is the one that is farthest from what is labelled or chosen already, as in CoreSet (Sener
    and Savarese 2018, arXiv 1708.00489), by its squared distance times how unsure the head is of
    it: where the two are multiplied, as in BADGE (Ash et al. 2020, arXiv 1906.03671), the choice is
    both uncertain and diverse. Distances are between features of unit length.

    Args:
        probabilities: Of the images without labels, [U, K].
        features: Theirs, [U, F].
        known: Those of the labelled images, [N, F].
        count: Number of images; all are chosen if there are no more.

    Returns:
        Rows, int [count].
    """
    images, labelled = (of_unit_length(standardized(of, known)) for of in (features, known))
    distance = np.array([_squared(labelled, image).min() for image in images])  # [U]
    unsure, left = doubt(probabilities), np.ones(len(images), np.bool_)
    chosen = list[int]()
    for _ in range(min(count, len(images))):
        chosen.append(int(np.where(left, unsure * distance, -1).argmax()))
        left[chosen[-1]] = False
        distance = np.minimum(distance, _squared(images, images[chosen[-1]]))
    return np.array(chosen, np.int64)


def doubt(probabilities: np.ndarray) -> np.ndarray:
    """1 minus the margin between the two most probable classes of [N, K]: [N], 0 to 1."""
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return 1 - (first - second)


def _squared(others: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Squared distances of unit vectors [N, F] from one [F]: [N]."""
    return np.maximum(2 - 2 * others @ image, 0)
