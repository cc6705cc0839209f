"""Batches for training and prediction, of one shape each, whole out of an array."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Batch = tuple[Any, Any, Any]
Augment = Callable[[Any, Any, int, int], tuple[Any, Any]]


@dataclass(frozen=True)
class Feed:
    """What a stage trains on.

    Args:
        inputs: [V, N, ...] pictures uint8 or activations float: V views of N examples, of which
            the epochs use one in turn.
        targets: float32 [V, N, K].
        batch_size: Examples a step; an epoch's last batch is filled up with its first examples.
        seed: Keys the order, with the epoch.
        augment: `augment(inputs, targets, epoch, step)` gives both anew; default none.
        class_weights: float32 [K], the weight of each class in the loss; default none.
    """

    inputs: np.ndarray
    targets: np.ndarray
    batch_size: int
    seed: tuple[int, ...]
    augment: Augment | None = None
    class_weights: np.ndarray | None = None

    @property
    def examples(self) -> int:
        """Examples an epoch."""
        return self.inputs.shape[1]

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-self.examples // self._width)

    @property
    def shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shapes of a batch's inputs, targets and weights."""
        return (None, *self.inputs.shape[2:]), (None, *self.targets.shape[2:]), (None,)

    @property
    def _width(self) -> int:
        return min(self.batch_size, self.examples)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, from 1, prepared ahead: inputs, targets [B, K], weights [B]."""
        return _ahead(self._epoch(epoch))

    def _epoch(self, epoch: int) -> Iterator[Batch]:
        view = (epoch - 1) % len(self.inputs)
        order = np.random.default_rng([*self.seed, epoch]).permutation(self.examples)
        order = np.resize(order, (self.steps, self._width))
        for step, chosen in enumerate(order):  # unsorted: a batch's pictures may be mixed in turn
            inputs = self.inputs[view][chosen].astype(np.float32)
            targets = self.targets[view][chosen]  # [B, K]
            if self.augment:
                inputs, targets = self.augment(inputs, targets, epoch, step)
            yield inputs, targets, self._weights(targets)

    def _weights(self, targets: Any) -> np.ndarray:
        """A mixed picture weighs what its classes do, each by its share."""
        if self.class_weights is None:
            return np.ones(len(targets), np.float32)
        from keras import ops

        return ops.convert_to_numpy(targets) @ self.class_weights


def _ahead(batches: Iterator[Batch], depth: int = 2) -> Iterator[Batch]:
    """Prepares batches in a thread while the step before them is computed."""
    ready: queue.Queue[Any] = queue.Queue(depth)
    abandoned = threading.Event()

    def put(item: Any) -> bool:
        while not abandoned.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:  # raised again where the batches are used
            put(error)

    worker = threading.Thread(target=work, daemon=True, name="kerascnn-batches")
    worker.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        abandoned.set()
        worker.join()
