"""The splits of a dataset, packed and examined."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.hygiene import Findings
from kerascnn.engine.data.packed import Packed


@dataclass(frozen=True)
class Data:
    """The packed splits, their classes, and what was noted about them."""

    train: Packed
    validation: Packed
    test: Packed
    class_names: tuple[str, ...]
    seconds: float
    findings: Findings
    notes: tuple[str, ...]

    def class_counts(self) -> dict[str, np.ndarray]:
        """The images of each class in each split: int64 [K]."""
        return count_classes(self.splits(), self.class_names)

    def splits(self) -> dict[str, Packed]:
        return {"train": self.train, "validation": self.validation, "test": self.test}


def count_classes(
    splits: Mapping[str, Packed], class_names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The images of each class in each split: int64 [K]."""
    return {
        name: np.bincount(packed.labels, minlength=len(class_names))
        for name, packed in splits.items()
    }
