"""The splits of a dataset, packed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.packed import Packed


@dataclass(frozen=True)
class Data:
    """The packed splits and their classes.

    Args:
        class_names: In Unicode form NFC, in the order of the labels.
        ignored: What else the dataset found, and how often.
        seconds: Time to find, decode and pack the images, or to find them packed.
    """

    train: Packed
    validation: Packed
    test: Packed
    class_names: tuple[str, ...]
    ignored: Mapping[str, int]
    seconds: float

    def class_counts(self) -> dict[str, np.ndarray]:
        """The number of images of each class in each split: int64 [K]."""
        return {
            name: np.bincount(packed.labels, minlength=len(self.class_names))
            for name, packed in self.splits().items()
        }

    def splits(self) -> dict[str, Packed]:
        return {"train": self.train, "validation": self.validation, "test": self.test}
