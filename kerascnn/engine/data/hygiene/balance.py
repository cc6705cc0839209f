"""Notes on classes and splits with too few images, and on uneven classes."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kerascnn.runtime.commands import overrides
from kerascnn.runtime.text import abbreviated, counted

UNEVEN = 2
"""Classes are uneven if one has at least this many times the training images of another."""
FEW = 5
"""A class with fewer test images is noted, if others have more than twice as many."""
ENOUGH_TO_TEST = 50
"""Images that a test split should have, unless that is more than LARGEST_SHARE of all."""
LARGEST_SHARE = 0.2


def share_to_test(images: int) -> float:
    """The share of images to test with, in steps of 0.05."""
    return max(0.1, min(LARGEST_SHARE, math.ceil(20 * ENOUGH_TO_TEST / images) / 20))


def uneven(counts: np.ndarray) -> bool:
    """Whether classes with these numbers of training images need weights."""
    return bool(counts.max() >= UNEVEN * counts.min() > 0)


def shortages(
    counts: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    stages: Sequence[str],
    *,
    weighted: bool,
    batch_size: int,
) -> Iterator[str]:
    """The shortages, in a sentence each.

    `weighted` says whether a stage already weights the classes; `batch_size` is the largest of any.
    """
    for split, what in (("train", "training"), ("validation", "validation"), ("test", "test")):
        if absent := [n for n, count in zip(class_names, counts[split], strict=True) if not count]:
            yield f"there are no {what} images of {abbreviated(absent)}"
    train, test = counts["train"], counts["test"]
    if uneven(train) and not weighted:
        most, least = int(train.argmax()), int(train.argmin())
        weights = overrides({f"stages.{stage}.class_weights": "balanced" for stage in stages})
        yield (
            f"uneven classes: {train[most]:,} training images of {class_names[most]}, "
            f"{train[least]:,} of {class_names[least]}; to compensate, set "
            f'class_weights = "balanced" in each stage ({weights})'
        )
    rare = np.flatnonzero((test > 0) & (test < FEW) & (test * 2 < test.mean()))
    if len(rare):
        named = abbreviated([f"{test[index]} of {class_names[index]}" for index in rare.tolist()])
        yield f"few test images: {named}; the metrics of these classes are uncertain"
    if train.sum() < batch_size:
        images = counted(int(train.sum()))
        yield f"the training split ({images}) is smaller than one batch ({batch_size})"
