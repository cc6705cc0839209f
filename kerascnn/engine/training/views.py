"""The frozen prefix over whole sets of images: as they are, or as augmented views of them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerascnn.engine.data.batches import Ahead, Examples, OneHot, shuffled
from kerascnn.engine.network.activations import BATCH_SIZE, Prefix, Rows
from kerascnn.engine.network.inference import Progress, to_numpy
from kerascnn.engine.training.plan import Plan


class PrefixRuns:
    """Runs a prefix for one stage, or finds what it gave, and counts which.

    Args:
        prefix: The frozen prefix.
        plan: The stage.
        about: The prefix, for people.
        total: Images and views that will be asked for.
        progress: Is told of those done and of their number.
    """

    def __init__(
        self, prefix: Prefix, plan: Plan, about: str, total: int, progress: Progress
    ) -> None:
        self._prefix, self._plan, self._about = prefix, plan, about
        self._total, self._progress = total, progress
        self.made = self.reused = self.bytes = 0

    def images(self, examples: Examples) -> np.ndarray:
        """The activations [N, ...] of images as they are."""

        def batches() -> Iterator[Rows]:
            for first in range(0, len(examples), BATCH_SIZE):
                rows = np.arange(first, min(first + BATCH_SIZE, len(examples)))
                yield rows, examples.inputs[rows[0] : rows[-1] + 1], None

        return self._run(examples.key, len(examples), "images", batches)[0]

    def view(self, examples: Examples, number: int, targets: OneHot) -> tuple[np.ndarray, Any]:
        """The activations [N, ...] of one augmented copy of each image, and its targets."""
        plan, augment = self._plan, self._plan.augment
        assert augment

        def batches() -> Iterator[Rows]:
            # shuffled, for a batch's images may be mixed with each other
            order = shuffled(len(examples), (plan.seed, plan.index), number)
            for step, first in enumerate(range(0, len(examples), plan.batch_size)):
                rows = order[first : first + plan.batch_size]
                images, mixed = augment(examples.inputs[rows], targets[rows], number, step)
                yield rows, to_numpy(images), to_numpy(mixed)

        drawn = (plan.augmentation_key, plan.seed, plan.index, plan.batch_size, number)
        key = f"{examples.key} {drawn}" if examples.key and plan.augmentation_key else ""
        return self._run(key, len(examples), f"augmented images, view {number + 1}", batches)

    def _run(
        self, key: str, count: int, what: str, batches: Callable[[], Iterator[Rows]]
    ) -> tuple[np.ndarray, Any]:
        done, made = self.made + self.reused, self.made

        def counted() -> Iterator[Rows]:
            self.made = made  # again from the first one where the prefix has to run as it is
            ahead = Ahead(batches())
            try:
                for batch in ahead:
                    yield batch
                    self.made += len(batch[0])
                    self._progress(self.made + self.reused, self._total)
            finally:
                ahead.close()

        about = f"{self._about}: {count:,} {what}"
        activations, targets = self._prefix.activations(key, count, about, counted)
        self.reused = done + count - self.made
        self._progress(done + count, self._total)
        self.bytes += activations.nbytes
        return activations, targets
