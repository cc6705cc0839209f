"""Batches for training: shuffled, augmented, and prepared ahead of the step that uses them."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from kerascnn.engine.data.batches.blocks import Blocks

T = TypeVar("T")
Batch = tuple[Any, Any, Any]
Augment = Callable[[Any, Any, int, int], tuple[Any, Any]]

WHOLE = (0, 1)


@dataclass(frozen=True)
class Examples:
    """Inputs and labels of a stage's training or validation."""

    inputs: Any  # uint8 [N, P, P, 3], or activations float [N, ...]: an array, or indexed like one
    labels: np.ndarray  # int64 [N]
    digests: np.ndarray = field(repr=False)  # SHA-256 of each prepared image, uint8 [N, 32]
    blocks: Blocks | None = None  # read together; none: all are shuffled

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class OneHot:
    """Labels int64 [N] as targets float32 [N, K], made when they are indexed."""

    labels: np.ndarray
    classes: int

    def __getitem__(self, chosen: Any) -> np.ndarray:
        return np.eye(self.classes, dtype=np.float32)[self.labels[chosen]]


@dataclass(frozen=True)
class Feed:
    """The inputs and targets that a stage trains on."""

    inputs: Sequence[Any]  # for each view, images uint8 or activations float [N, ...]
    targets: Sequence[Any]  # for each view, float32 [N, K]
    batch_size: int  # an epoch's last batch is filled up with its first examples
    seed: tuple[int, ...]  # keys the order, together with the epoch
    augment: Augment | None = None  # or mix: as `augment(inputs, targets, epoch, step)`
    class_weights: np.ndarray | None = None  # float32 [K], of the loss
    smoothing: float = 0.0  # the share of each target that is spread evenly over all classes
    blocks: Blocks | None = None  # of the examples; none: all are shuffled
    part: tuple[int, int] = WHOLE  # of each batch: its number, and of how many equal ones

    @property
    def examples(self) -> int:
        """Examples per epoch."""
        return len(self.inputs[0])

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return -(-self.examples // self.width)

    @property
    def width(self) -> int:
        """Examples per batch."""
        return min(self.batch_size, self.examples)

    def _cut(self, rows: Any) -> Any:
        if self.part == WHOLE:
            return rows
        number, of = self.part
        count = self.width // of
        return rows[number * count : (number + 1) * count]

    def epoch(self, epoch: int, first: int = 0, at_once: int = 1) -> "Ahead[Batch]":
        """The batches of an epoch, from 1, prepared ahead: inputs, targets [B, K], weights [B].

        Of each, it is this feed's part: it is cut off after augmentation, so that the order, random
        draws and mixed images do not depend on the number of parts.

        Args:
            first: The step to begin with: each step's batch follows from its number.
            at_once: Above 1, that many batches are stacked, [at_once, B, ...], the last ones in a
                smaller stack.
        """
        batches = self._epoch(epoch, first)
        return Ahead(_stacks(batches, at_once) if at_once > 1 else map(_on_device, batches))

    def _epoch(self, epoch: int, first: int) -> Iterator[Batch]:
        view = (epoch - 1) % len(self.inputs)
        order = shuffled(self.examples, self.seed, epoch, self.blocks)
        order = np.resize(order, (self.steps, self.width))
        for step in range(first, self.steps):
            chosen = order[step]  # unsorted, as neighbours in a batch may be mixed
            if not self.augment:  # or else the part depends on the others
                chosen = self._cut(chosen)
            inputs, targets = self.inputs[view][chosen], self.targets[view][chosen]
            if self.augment:
                inputs, targets = self.augment(inputs, targets, epoch, step)
                inputs, targets = self._cut(inputs), self._cut(targets)
            yield inputs, smoothed(targets, self.smoothing), self._weights(targets)

    def _weights(self, targets: Any) -> np.ndarray:
        """The weight of each example; of a mixed image, that of its classes by their shares."""
        if self.class_weights is None:
            return np.ones(len(targets), np.float32)
        from keras import ops

        return ops.convert_to_numpy(targets) @ self.class_weights


def _on_device(batch: Batch) -> Batch:
    inputs, targets, weights = batch
    return to_device(inputs), to_device(targets), weights


def _stacks(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    while stack := [*islice(batches, size)]:
        inputs, targets, weights = zip(*stack, strict=True)
        yield _stacked(inputs), _stacked(targets), _stacked(weights)


def _stacked(arrays: Sequence[Any]) -> np.ndarray:
    return np.stack([np.asarray(array, np.float32) for array in arrays])


def shuffled(
    examples: int, seed: tuple[int, ...], epoch: int, blocks: Blocks | None = None
) -> np.ndarray:
    """The order of the examples in an epoch, or a view: int [N], a permutation."""
    rng = np.random.default_rng([*seed, epoch])
    return blocks.order(rng) if blocks else rng.permutation(examples)


def smoothed(targets: Any, share: float) -> Any:
    """Targets [B, K] of which a share is spread evenly over all classes (arXiv 1512.00567)."""
    if not share:
        return targets
    # in float32, as Keras does: on TensorFlow and JAX to the bit
    return targets * np.float32(1.0 - share) + np.float32(share) / np.float32(targets.shape[-1])


def to_device(array: Any) -> Any:
    """A float32 tensor of the backend; uint8 arrays are copied to the device as they are."""
    from keras import ops

    return ops.cast(ops.convert_to_tensor(array), "float32")


class Ahead(Iterator[T]):
    """Prepares batches in a thread while the step before them is computed.

    If it is not used up, `close` it before another one begins: on TensorFlow both would wait for
    the same few threads.
    """

    def __init__(self, batches: Iterator[T], depth: int = 2) -> None:
        self._ready: queue.Queue[Any] = queue.Queue(depth)
        self._abandoned = threading.Event()
        # not `self`, which could then never be deleted
        arguments = (batches, self._ready, self._abandoned)
        self._worker = threading.Thread(
            target=_fill, args=arguments, daemon=True, name="kerascnn-batches"
        )
        self._worker.start()

    def __next__(self) -> T:
        if self._abandoned.is_set():
            raise StopIteration
        item = self._ready.get()
        if item is None or isinstance(item, BaseException):
            self.close()
            raise item or StopIteration
        return item

    def close(self) -> None:
        self._abandoned.set()
        self._worker.join()

    def __del__(self) -> None:
        self._abandoned.set()


def _fill(batches: Iterator[Any], ready: queue.Queue, abandoned: threading.Event) -> None:
    def put(item: Any) -> bool:
        while not abandoned.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    try:
        for batch in batches:
            if not put(batch):
                return
        put(None)
    except BaseException as error:  # raised again by `__next__`
        put(error)
