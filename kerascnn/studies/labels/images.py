"""All images of an experiment in one order: training, validation, test."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.hygiene.corrections import image_names, table_paths
from kerascnn.engine.data.store.packed import Data, Packed


@dataclass(frozen=True)
class AllImages:
    """The images of all splits, one split after the other.

    Args:
        data: The splits.
        preparation: Of the images.
    """

    data: Data
    preparation: Preparation

    def __len__(self) -> int:
        return sum(map(len, self._splits.values()))

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 [N]."""
        return self._joined(lambda split: split.labels)

    @cached_property
    def given(self) -> np.ndarray:
        """The labels of the dataset, before they were corrected: int64 [N]."""
        return self._joined(lambda split: split.given)

    @cached_property
    def split(self) -> np.ndarray:
        """The name of each image's split: str [N]."""
        return np.repeat(list(self._splits), list(map(len, self._splits.values())))

    @cached_property
    def names(self) -> list[str]:
        """See `image_names`."""
        return [name for split in self._splits.values() for name in image_names(split)]

    @cached_property
    def paths(self) -> list[str]:
        """See `table_paths`."""
        return table_paths(self.names)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.data.class_names

    def row(self, split: str, row: int) -> int:
        """The row here of a row of a split."""
        return int(np.flatnonzero(self.split == split)[row])

    def pixels(self, row: int) -> np.ndarray:
        """An image as the network sees it, uint8 [S, S, 3]."""
        split = str(self.split[row])
        first = int(np.argmax(self.split == split))
        return self.preparation.windows(self._splits[split].images)[row - first]

    def measured(self, measure: Callable[[Any], np.ndarray]) -> np.ndarray:
        """What a function gives for the windows of each split, joined."""
        return self._joined(lambda split: measure(self.preparation.windows(split.images)))

    @property
    def _splits(self) -> dict[str, Packed]:
        return self.data.splits()

    def _joined(self, of: Callable[[Packed], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(split) for split in self._splits.values()])
