"""Runs the frozen prefix over whole sets of images, plain or augmented."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerascnn.engine.data.batches import Ahead, Examples, OneHot, shuffled
from kerascnn.engine.network.activations import BATCH_SIZE, Prefix, Rows
from kerascnn.engine.network.inference import OnProgress, to_numpy
from kerascnn.engine.training.plan import Plan


class PrefixRuns:
    """Computes or reads the activations of one stage, and counts both.

    `about` names the prefix; `progress` receives the number of images and views done, of `total`.
    """

    def __init__(
        self, prefix: Prefix, plan: Plan, about: str, total: int, progress: OnProgress
    ) -> None:
        self._prefix, self._plan, self._about = prefix, plan, about
        self._total, self._progress = total, progress
        self.made = self.reused = self.bytes = 0

    def images(self, examples: Examples) -> np.ndarray:
        """The activations [N, ...] of images without augmentation."""

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
            # shuffled, because images of a batch may be mixed with each other
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
            self.made = made  # starts over if the prefix has to run unfolded
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
