"""The checks of a training loss: its value for each image, its gradient, and in training."""

from collections.abc import Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.feed import to_device
from kerascnn.engine.network.inference import to_numpy
from kerascnn.hookspecs import kerascnn_losses
from kerascnn.runtime.compilation import gradient, jit_compile
from kerascnn.testing.checks import CheckError, Subject, check
from kerascnn.testing.other_processes import on_other_backends

COUNTS = (90, 30, 9, 3)
CLASSES = len(COUNTS)
IMAGES = 8
STEPS = 20
CLOSE = 1e-4  # relative: the float32 error of a few operations


class LossSubject(Subject):
    """A loss, built for four classes of 90, 30, 9 and 3 training images."""

    kind = "loss"

    def make(self) -> Any:
        return self.build(COUNTS)

    def build(self, class_counts: Sequence[int]) -> Any:
        return self.bound.build(num_classes=len(class_counts), class_counts=tuple(class_counts))

    @cached_property
    def losses(self) -> np.ndarray:
        """The losses of the sample, [IMAGES]."""
        return losses_of(self.made, *sample())


def sample() -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities float32 [IMAGES, CLASSES]: half of the labels mixed."""
    rng = np.random.default_rng(0)
    labels = np.eye(CLASSES)[np.arange(IMAGES) % CLASSES]
    labels[IMAGES // 2 :] = rng.dirichlet(np.ones(CLASSES), IMAGES - IMAGES // 2)
    probabilities = rng.dirichlet(np.ones(CLASSES), IMAGES)
    return labels.astype(np.float32), probabilities.astype(np.float32)


def losses_of(loss: Any, labels: Any, probabilities: Any) -> np.ndarray:
    """The loss of each image, as in a stage, which uses only `call`."""
    labels, probabilities = np.float32(labels), np.float32(probabilities)
    return to_numpy(loss.call(to_device(labels), to_device(probabilities)))


@check(kerascnn_losses)
def builds(subject: LossSubject) -> str:
    """The builder returns a keras.losses.Loss."""
    return type(subject.made).__name__


@check(kerascnn_losses)
def one_number_for_each_image(subject: LossSubject) -> None:
    """call(y_true, y_pred) returns float32 [B], for any batch size."""
    labels, probabilities = sample()
    for count in (1, 3, IMAGES):
        losses = losses_of(subject.made, labels[:count], probabilities[:count])
        if losses.shape != (count,) or losses.dtype != np.float32:
            raise CheckError(f"{losses.dtype} {list(losses.shape)} for {count} images")


@check(kerascnn_losses)
def finite_at_the_extremes(subject: LossSubject) -> str:
    """The loss and its gradient are finite where probabilities are 0 or 1, right or wrong."""
    certain = np.eye(CLASSES, dtype=np.float32)
    mixed = (certain + np.roll(certain, 1, axis=1)) / 2
    largest = max(
        _finite(subject.made, labels, np.roll(certain, shift, axis=1))
        for labels in (certain, mixed, certain * 0.9 + 0.1 / CLASSES)
        for shift in range(CLASSES)
    )
    return f"at most {largest:.3g}"


def _finite(loss: Any, labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The largest loss; raises CheckError where it or its gradient is not finite."""
    from keras import ops

    def total(predicted: Any, expected: Any) -> Any:
        return ops.sum(loss.call(expected, predicted))

    losses = losses_of(loss, labels, probabilities)
    slopes = to_numpy(gradient(total)(to_device(probabilities), to_device(labels)))
    for name, numbers in (("loss", losses), ("gradient", slopes)):
        for image in np.flatnonzero(~np.isfinite(numbers).reshape(len(labels), -1).all(1))[:1]:
            raise CheckError(
                f"{name} {numbers[image].tolist()} for the labels {labels[image].tolist()} and "
                f"the probabilities {probabilities[image].tolist()}"
            )
    return float(losses.max())


@check(kerascnn_losses)
def any_class_counts(subject: LossSubject) -> None:
    """The loss is finite however uneven the classes are, also if one has no training images."""
    for counts in ((100_000, 10, 1, 0), (1, 1)):
        labels, probabilities = (array[:, : len(counts)] for array in sample())
        losses = losses_of(subject.build(counts), labels, probabilities)
        if not np.isfinite(losses).all():
            raise CheckError(f"losses {losses.tolist()} for class_counts = {counts}")


@check(kerascnn_losses)
def better_is_lower(subject: LossSubject) -> str:
    """The more probable the right class, the lower the loss."""
    shares = np.linspace(0.02, 0.98, 9, dtype=np.float32)
    for right in range(CLASSES):
        label = np.eye(CLASSES, dtype=np.float32)[right]
        others = (1 - label) / (CLASSES - 1)
        probabilities = shares[:, None] * label + (1 - shares[:, None]) * others
        losses = losses_of(subject.made, np.tile(label, (len(shares), 1)), probabilities)
        steps = np.diff(losses)
        if not (losses[-1] < losses[0] and (steps <= CLOSE * abs(losses[1:])).all()):
            listed = ", ".join(f"{loss:.4g}" for loss in losses)
            raise CheckError(f"{listed} for probabilities from {shares[0]:g} to {shares[-1]:g}")
    return f"{losses[0]:.3g} to {losses[-1]:.3g}"


@check(kerascnn_losses)
def takes_probabilities(subject: LossSubject) -> None:
    """y_pred are probabilities, to which no softmax is applied again: adding one number to all of
    them changes the loss."""
    labels, probabilities = sample()
    shifted = losses_of(subject.made, labels, probabilities + 0.5)
    if (abs(shifted - subject.losses) <= CLOSE * np.maximum(abs(subject.losses), 1)).all():
        raise CheckError("the same losses for y_pred + 0.5, as of logits: is from_logits set?")


@check(kerascnn_losses)
def labels_by_their_shares(subject: LossSubject) -> None:
    """Mixed labels count by their shares, as label smoothing, MixUp and CutMix need: a loss that
    uses only the largest is that of other labels."""
    shares = np.array([1, 0.9, 0.75, 0.6])
    labels = np.zeros((len(shares), CLASSES), np.float32)
    labels[:, 0], labels[:, 1] = shares, 1 - shares
    losses = losses_of(subject.made, labels, np.tile([0.5, 0.3, 0.15, 0.05], (len(shares), 1)))
    if (abs(np.diff(losses)) <= CLOSE * abs(losses[1:])).any():
        listed = ", ".join(f"{loss:.6g}" for loss in losses)
        raise CheckError(f"{listed} for labels of which the first class has {shares.tolist()}")


@check(kerascnn_losses)
def of_the_image_alone(subject: LossSubject) -> None:
    """The loss of an image depends on its own labels and probabilities only, not on the rest of
    the batch, and is the same on every call."""
    alone = [losses_of(subject.made, *(array[[i]] for array in sample())) for i in range(IMAGES)]
    _same(np.concatenate(alone), subject.losses, "alone")


@check(kerascnn_losses)
def trains(subject: LossSubject) -> str:
    """Compiled training steps lower the loss of their batch: it is computed with keras.ops only,
    and its gradient reaches the network."""
    import keras

    class Mean(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return subject.made.call(y_true, y_pred)

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((CLASSES,)), keras.layers.Dense(CLASSES, activation="softmax")]
    )
    model.compile(keras.optimizers.Adam(0.05), Mean(), jit_compile=jit_compile())
    labels, _ = sample()
    losses = [float(model.train_on_batch(labels, labels)) for _ in range(STEPS)]
    if not losses[-1] < losses[0]:  # so that NaN is caught too
        raise CheckError(f"{losses[0]:.4g} before and {losses[-1]:.4g} after {STEPS} steps")
    return f"{losses[0]:.3g} to {losses[-1]:.3g}"


@check(kerascnn_losses)
def same_on_all_backends(subject: LossSubject) -> str:
    """The losses are the same on every backend."""
    elsewhere = on_other_backends(attrgetter("losses"), subject)
    for backend, losses in elsewhere.items():
        _same(losses, subject.losses, f"on {backend}")
    return ", ".join(elsewhere)


def _same(found: np.ndarray, losses: np.ndarray, where: str) -> None:
    if found.shape != losses.shape:
        raise CheckError(f"{list(found.shape)} {where} instead of {list(losses.shape)}")
    for image in np.flatnonzero(~(abs(found - losses) <= CLOSE * np.maximum(abs(losses), 1)))[:1]:
        raise CheckError(f"{found[image]:.6g} {where} instead of {losses[image]:.6g}")
