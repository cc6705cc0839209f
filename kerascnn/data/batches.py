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
        inputs: [N, ...] pictures uint8 or activations float, indexable by an array.
        labels: int64 [N].
        num_classes: Number of classes K.
        batch_size: Examples a step; an epoch's last batch is filled up with its first examples.
        seed: Keys the order, with the epoch.
        augment: `augment(inputs, targets, epoch, step)` gives both anew; default none.
        class_weights: float32 [K], the weight of each class in the loss; default none.
    """

    inputs: np.ndarray
    labels: np.ndarray
    num_classes: int
    batch_size: int
    seed: tuple[int, ...]
    augment: Augment | None = None
    class_weights: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-len(self.labels) // self._width)

    @property
    def _width(self) -> int:
        return min(self.batch_size, len(self.labels))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, prepared ahead: inputs, targets [B, K], weights [B]."""
        return _ahead(self._epoch(epoch))

    def _epoch(self, epoch: int) -> Iterator[Batch]:
        order = np.random.default_rng([*self.seed, epoch]).permutation(len(self.labels))
        order = np.resize(order, self.steps * self._width)
        for step, chosen in enumerate(order.reshape(self.steps, self._width)):
            chosen = np.sort(chosen)  # a memory map is read in its own order
            inputs = self.inputs[chosen].astype(np.float32)
            targets = np.eye(self.num_classes, dtype=np.float32)[self.labels[chosen]]  # [B, K]
            weights = self._weights(self.labels[chosen])
            if self.augment:
                inputs, targets = self.augment(inputs, targets, epoch, step)
            yield inputs, targets, weights

    def _weights(self, labels: np.ndarray) -> np.ndarray:
        if self.class_weights is None:
            return np.ones(len(labels), np.float32)
        return self.class_weights[labels]


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
