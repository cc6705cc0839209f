"""An augmentation under check, and the batches that it makes."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from kerascnn.engine.data.augment import augmenter
from kerascnn.engine.network.inference import to_numpy
from kerascnn.hookspecs import Augmentation
from kerascnn.testing.checks import Subject
from kerascnn.testing.images import random_images

IMAGE_SIZE = 32
CLASSES = 4
COUNT = 6
STEPS = 4  # random operations are likely to occur in at least one
Batch = tuple[np.ndarray, np.ndarray]


class AugmentationSubject(Subject):
    """An augmentation, built for small images of four classes."""

    kind = "augmentation"

    @property
    def size(self) -> int:
        return self.image_size or IMAGE_SIZE

    def make(self) -> Any:
        return self.build(self.size)

    def build(self, size: int) -> Any:
        return self.bound.build(image_size=size, num_classes=CLASSES)

    @cached_property
    def is_pair(self) -> bool:
        return isinstance(self.made, Augmentation)

    @cached_property
    def batches(self) -> list[Batch]:
        """One batch, as augmented in the first steps of a stage."""
        return list(augmented(self.made, self.size))


def sample_batch(size: int, count: int = COUNT) -> Batch:
    """Images uint8 [B, S, S, 3] from black to white, and their labels, float32 [B, K]."""
    images = random_images(count, size)
    images[0, : size // 2], images[0, size // 2 :] = 0, 255
    return images, np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]


def augmented(policy: Any, size: int, count: int = COUNT, seed: int = 0) -> Iterator[Batch]:
    """The same batch as augmented in the first steps of a stage, as NumPy arrays."""
    images, labels = sample_batch(size, count)
    augment = augmenter(policy, (seed,), size)
    for step in range(STEPS):
        changed = augment(images, labels, 1, step)
        yield to_numpy(changed[0]), to_numpy(changed[1])
