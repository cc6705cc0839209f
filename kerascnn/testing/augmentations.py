"""The checks of an augmentation: its effect on images and labels, run as in a stage."""

from collections.abc import Iterator
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.augment import Augmenter, augmenter
from kerascnn.engine.data.batches.by_image import CLOSE
from kerascnn.engine.data.batches.drawn import as_drawn
from kerascnn.engine.data.batches.feed import Augment, to_device
from kerascnn.engine.data.batches.host_augment import Host, generators_of
from kerascnn.engine.network.inference import to_numpy
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Arrays, Augmentation, HostAugmentation, kerascnn_augmentations
from kerascnn.testing.checks import CheckError, SkipError, Subject, check, random_images
from kerascnn.testing.other_processes import on_other_backends

IMAGE_SIZE = 32
CLASSES = COUNT = 6  # one image of each class
NAMED = "the augmentation"  # in messages
STEPS = 4  # random operations are likely to occur in at least one
Batch = tuple[np.ndarray, np.ndarray]


class AugmentationSubject(Subject):
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
    def on_host(self) -> bool:
        return isinstance(self.made, HostAugmentation)

    @cached_property
    def batches(self) -> list[Batch]:
        """One batch, as augmented in the first steps of a stage."""
        return list(augmented(self.augment, self.size))

    @cached_property
    def augment(self) -> Augment:
        return augmenter_of(self).afresh


def augmenter_of(subject: AugmentationSubject) -> Augmenter:
    """A new augmenter of what the component builds."""
    return augmenter(subject.made, (0,), subject.size, NAMED)


def sample_batch(size: int, count: int = COUNT) -> Batch:
    """Images uint8 [B, S, S, 3] from black to white, and their labels, float32 [B, K]."""
    images = random_images(count, size)
    images[0, : size // 2], images[0, size // 2 :] = 0, 255
    return images, np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]


def augmented(augment: Augment, size: int, count: int = COUNT) -> Iterator[Batch]:
    """The same batch as augmented in the first steps of a stage, as NumPy arrays."""
    images, labels = sample_batch(size, count)
    for step in range(STEPS):
        changed = augment(images, labels, 1, step)
        yield to_numpy(changed[0]), to_numpy(changed[1])


@check(kerascnn_augmentations)
def builds(subject: AugmentationSubject) -> str:
    """The builder returns a kerascnn.Augmentation, a kerascnn.HostAugmentation or a Keras
    preprocessing layer."""
    return "a pair of draw and apply" if subject.is_pair else type(subject.made).__name__


@check(Augmentation)
def draws_for_each_image(subject: AugmentationSubject) -> str:
    """draw(rng, batch_size) returns a dict of numeric NumPy arrays, each with a first axis of
    length batch_size; so does that of mix."""
    policy = pair(subject)
    drawn = list[str]()
    for draw in [policy.draw, *([policy.mix.draw] if policy.mix else [])]:
        for count in (1, COUNT):
            arrays = draw(np.random.default_rng(0), count)
            _check_drawn(arrays, count)
        drawn += arrays
    return ", ".join(drawn) or "nothing"


def _check_drawn(arrays: Any, count: int) -> None:
    if not isinstance(arrays, dict):
        raise CheckError(f"a {type(arrays).__name__}")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            dtype = f" of {array.dtype}" if isinstance(array, np.ndarray) else ""
            raise CheckError(f'"{name}" is {type(array).__name__}{dtype}')
        if array.shape[:1] != (count,):
            raise CheckError(f'"{name}" has shape {array.shape} for batch_size = {count}')


@check(Augmentation)
def keeps_shape_and_dtype(subject: AugmentationSubject) -> None:
    """Images float32 [B, S, S, 3] and labels float32 [B, K] keep shape and dtype, for any batch
    size."""
    on_device(subject)
    for count in (1, COUNT):
        inputs = sample_batch(subject.size, count)
        for images, labels in augmented(subject.augment, subject.size, count):
            named = zip(("images", "labels"), inputs, (images, labels), strict=True)
            for name, before, after in named:
                if after.shape != before.shape or after.dtype != np.float32:
                    raise CheckError(f"{name} {after.dtype} {after.shape} from {before.shape}")


@check(Augmentation)
def keeps_the_range(subject: AugmentationSubject) -> str:
    """Every pixel stays finite and within 0-255."""
    on_device(subject)
    low = min(images.min() for images, _ in subject.batches)
    high = max(images.max() for images, _ in subject.batches)
    if not (low >= 0 and high <= 255):  # so that NaN is caught too
        raise CheckError(f"pixels from {low} to {high}")
    return f"{low:.0f} to {high:.0f}"


@check(Augmentation)
def labels_sum_to_one(subject: AugmentationSubject) -> None:
    """The labels of each image stay probabilities: not negative, with sum 1."""
    on_device(subject)
    for _, labels in subject.batches:
        sums = labels.sum(axis=1)
        for image in np.flatnonzero(~((abs(sums - 1) < 1e-5) & (labels.min(axis=1) >= 0)))[:1]:
            raise CheckError(f"labels {labels[image].tolist()}, with sum {sums[image]:.6g}")


@check(Augmentation)
def same_for_a_seed(subject: AugmentationSubject) -> None:
    """The same seed gives the same images and labels: draw uses only its generator, and a layer
    only Keras's."""
    import keras

    on_device(subject)
    runs = []
    for run in (1, 2):
        keras.utils.set_random_seed(run if subject.is_pair else 1)
        augment = augmenter(subject.make(), (0,), subject.size).afresh
        runs.append(list(augmented(augment, subject.size)))
    same(runs[0], runs[1], "the second time")


@check(kerascnn_augmentations)
def differs_between_calls(subject: AugmentationSubject) -> None:
    """Each step of a stage augments differently."""
    on_device(subject)  # else changes_images compares single images
    images, labels = sample_batch(subject.size)
    if all(_equal(batch, (images, labels)) for batch in subject.batches):
        raise SkipError("it changes no image")
    if all(_equal(batch, subject.batches[0]) for batch in subject.batches[1:]):
        raise CheckError(f"the same images and labels in {STEPS} steps")


@check(kerascnn_augmentations)
def identity_off_training(subject: AugmentationSubject) -> None:
    """A layer called with training=False returns its images unchanged."""
    if subject.is_pair or subject.on_host:
        raise SkipError("it runs only in training")
    images, _ = sample_batch(subject.size)
    calm = to_numpy(subject.made(to_device(images), training=False))
    if (distance := _distance(calm, images)) > CLOSE:
        raise CheckError(f"images that differ by up to {distance}")


@check(Augmentation)
def leaves_its_arguments(subject: AugmentationSubject) -> None:
    """apply(batch, arrays) returns new arrays and does not modify its arguments: a batch may be
    augmented again."""
    policy = pair(subject)
    batch, arrays = tensors(subject, 0)
    before = {name: to_numpy(tensor) for name, tensor in (batch | arrays).items()}
    first = applied(policy, dict(batch), dict(arrays))
    kept = to_numpy(first["images"])
    for name, tensor in (batch | arrays).items():
        if not np.array_equal(to_numpy(tensor), before[name], equal_nan=True):
            raise CheckError(f'"{name}" was overwritten')
    again = to_numpy(applied(policy, dict(batch), dict(arrays))["images"])
    if (distance := _distance(kept, again)) > CLOSE:
        raise CheckError(f"applied again, images that differ by up to {distance}")


@check(Augmentation)
def same_on_all_backends(subject: AugmentationSubject) -> str:
    """It runs on every backend and keeps shapes and range; the same draw gives the same images and
    labels."""
    needs_images(subject)
    elsewhere = on_other_backends(attrgetter("batches"), subject)
    for backend, batches in elsewhere.items():
        if subject.is_pair or subject.on_host:
            same(batches, subject.batches, f"on {backend}")
        for (images, _), (expected, _) in zip(batches, subject.batches, strict=True):
            if images.shape != expected.shape or not (images.min() >= 0 and images.max() <= 255):
                raise CheckError(f"on {backend} {images.shape}, {images.min()} to {images.max()}")
    return ", ".join(elsewhere)


def pair(subject: AugmentationSubject) -> Augmentation:
    on_device(subject)
    if not subject.is_pair:
        raise SkipError("it is a Keras layer")
    return subject.made


def on_device(subject: AugmentationSubject) -> None:
    if subject.on_host:
        raise SkipError("it runs on the host")


def needs_images(subject: AugmentationSubject) -> None:
    """Skips a check of what it makes where an augmentation of the host makes no image."""
    try:
        if subject.on_host:
            Host(subject.made, NAMED)(
                sample_batch(subject.size)[0], generators_of((0, 1, 1), COUNT)
            )
    except PluginError as error:
        raise SkipError("it returns no image: see augments_one_image") from error


def tensors(subject: AugmentationSubject, *seed: int) -> tuple[Arrays, Arrays]:
    """A batch and the arrays drawn for it, as `apply` receives them."""
    images, labels = map(to_device, sample_batch(subject.size))
    arrays = subject.made.draw(np.random.default_rng(seed), COUNT)
    return {"images": images, "labels": labels}, as_drawn(arrays)


def applied(policy: Augmentation, batch: Arrays, arrays: Arrays) -> Arrays:
    result = policy.apply(batch, arrays)
    if missing := {"images", "labels"} - set(result):
        raise CheckError(f"a batch without {' and '.join(sorted(missing))}")
    return result


def same(found: list[Batch], expected: list[Batch], where: str) -> None:
    for one, other in zip(found, expected, strict=False):
        if not _equal(one, other):
            images, labels = map(_distance, one, other)
            raise CheckError(f"{where} pixels differ by up to {images}, labels by up to {labels}")


def _equal(one: Batch, other: Batch) -> bool:
    images, labels = map(_distance, one, other)
    return images <= CLOSE and labels <= 1e-4


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return np.inf
    return float(np.abs(one.astype(np.float64) - other).max())
