"""What is different in the images of an update."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NewLabel:
    """An image under another label than in the earlier run."""

    image: str
    split: str
    before: str
    label: str


@dataclass(frozen=True)
class Changes:
    """What is different from the earlier run.

    Args:
        new: Of each class, how many images of each split are new.
        classes: The new classes.
        relabelled: The old images with another label.
        gone: How many old images are there no more.
        new_tests: Which test images are new: bool [N].
    """

    new: Mapping[str, Mapping[str, int]]
    classes: Sequence[str]
    relabelled: Sequence[NewLabel]
    gone: int
    new_tests: np.ndarray

    @property
    def count(self) -> int:
        """Of the new images."""
        return sum(sum(of_class.values()) for of_class in self.new.values())

    def __bool__(self) -> bool:
        return bool(self.count or self.relabelled or self.gone)
