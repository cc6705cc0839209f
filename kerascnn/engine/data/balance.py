"""What a dataset has too few images of, to train on or to judge by."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kerascnn.runtime.commands import overrides

UNEVEN = 2
"""One class has at least this many times the training images of another."""
FEW = 5
"""Test images of a class that say little about it, where others have more than twice as many."""
JUDGED_BY = 50
"""Images that a test split should have, unless that takes more than LARGEST_SHARE of all."""
LARGEST_SHARE = 0.2
SHOWN = 10  # classes that are named

Counts = Mapping[str, np.ndarray]
"""By split, the images of each class: int64 [K]."""


def share_to_test(images: int) -> float:
    """The share of so many images to test by, in steps of 0.05."""
    return max(0.1, min(LARGEST_SHARE, math.ceil(20 * JUDGED_BY / images) / 20))


def uneven(counts: np.ndarray) -> bool:
    """Whether the classes with these numbers of training images want weights."""
    return bool(counts.max() >= UNEVEN * counts.min() > 0)


def shortages(
    counts: Counts,
    class_names: Sequence[str],
    stages: Sequence[str],
    *,
    weighted: bool,
    batch_size: int,
) -> Iterator[str]:
    """What there is too little of, in a sentence each.

    Args:
        counts: The images of each class in each split.
        stages: The names of the stages.
        weighted: Whether a stage weights the classes already.
        batch_size: The largest of any stage.
    """
    for split, what in (("train", "training"), ("validation", "validation"), ("test", "test")):
        if absent := [n for n, count in zip(class_names, counts[split], strict=True) if not count]:
            more = f" and {len(absent) - SHOWN} more classes" if len(absent) > SHOWN else ""
            yield f"there are no {what} images of {', '.join(absent[:SHOWN])}{more}"
    train, test = counts["train"], counts["test"]
    if uneven(train) and not weighted:
        most, least = int(train.argmax()), int(train.argmin())
        weights = overrides({f"stages.{stage}.class_weights": "balanced" for stage in stages})
        yield (
            f"uneven classes: {train[most]:,} training images of {class_names[most]}, "
            f'{train[least]:,} of {class_names[least]}; class_weights = "balanced" in each stage '
            f"makes up for it ({weights})"
        )
    rare = np.flatnonzero((test > 0) & (test < FEW) & (test * 2 < test.mean()))
    if len(rare):
        named = ", ".join(f"{test[index]} of {class_names[index]}" for index in rare[:SHOWN])
        yield f"few test images: {named}; what is measured of these classes is uncertain"
    if train.sum() < batch_size:
        yield f"the training split ({train.sum()} images) is smaller than one batch ({batch_size})"
