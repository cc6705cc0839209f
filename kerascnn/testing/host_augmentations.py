"""The checks of an augmentation of the host: what it does to single images."""

import pickle
import random

import numpy as np

from kerascnn.engine.data.batches.host_augment import Host, generators_of
from kerascnn.hookspecs import HostAugmentation
from kerascnn.runtime.workers import Sent
from kerascnn.testing.augmentations import (
    NAMED,
    STEPS,
    AugmentationSubject,
    needs_images,
    sample_batch,
)
from kerascnn.testing.checks import CheckError, SkipError, check


@check(HostAugmentation)
def augments_one_image(subject: AugmentationSubject) -> None:
    """apply(image, rng) returns uint8 [H, W, 3] of the same size, for any image and draw."""
    _augmented(_host(subject), subject.size)


@check(HostAugmentation)
def leaves_its_image(subject: AugmentationSubject) -> None:
    """apply returns a new image and does not modify the one that it receives."""
    apply = _working(subject).policy.apply
    for image in sample_batch(subject.size)[0]:
        before = image.copy()
        for step in range(STEPS):
            apply(image, np.random.default_rng(step))
            if changed := int((image != before).sum()):
                raise CheckError(f"{changed:,} values of the image were overwritten")


@check(HostAugmentation)
def changes_images(subject: AugmentationSubject) -> str:
    """Images change, each step in another way."""
    host, images = _working(subject), sample_batch(subject.size)[0]
    steps = _augmented(host, subject.size)
    changed = np.mean([(step != images).any(axis=(1, 2, 3)) for step in steps])
    if not changed:
        raise CheckError(f"{len(images)} images, each augmented {STEPS} times, and none changed")
    if all(np.array_equal(step, steps[0]) for step in steps):
        raise CheckError(f"the same {len(images)} images in {STEPS} steps")
    return f"{changed:.0%} of the images"


@check(HostAugmentation)
def draws_only_from_its_generator(subject: AugmentationSubject) -> None:
    """The same image and generator give the same, whatever was augmented before: apply draws from
    its generator alone, not from random, NumPy's global generator or Keras."""
    import keras

    _working(subject)
    runs = []
    for seed, order in ((1, range(STEPS)), (2, reversed(range(STEPS)))):
        keras.utils.set_random_seed(seed)  # of Python and NumPy too
        before = _states()
        host = Host(subject.make(), NAMED)
        steps = {step: _augment(host, subject.size, step) for step in order}
        runs.append([steps[step] for step in range(STEPS)])
        for name, state in _states().items():
            if state != before[name]:
                raise CheckError(f"it draws from {name}")
    first, second = runs
    _same(second, first, "the second time")


@check(HostAugmentation)
def same_in_another_process(subject: AugmentationSubject) -> None:
    """apply can be sent to another process, and gives the same images there."""
    import cloudpickle  # type: ignore[import-untyped]

    host = _working(subject)
    sent = Sent(cloudpickle.dumps(host))
    there = sent.submit(_augmented, subject.size).result()
    _same(there, _augmented(host, subject.size), "there")


def _host(subject: AugmentationSubject) -> Host:
    if not subject.on_host:
        raise SkipError("it runs on the device")
    return Host(subject.made, NAMED)


def _working(subject: AugmentationSubject) -> Host:
    host = _host(subject)
    needs_images(subject)
    return host


def _augmented(host: Host, size: int) -> list[np.ndarray]:
    """The sample images as augmented in the first steps of a stage, uint8 [B, S, S, 3] each."""
    return [_augment(host, size, step) for step in range(STEPS)]


def _augment(host: Host, size: int, step: int) -> np.ndarray:
    images = sample_batch(size)[0]
    return host(images, generators_of((0, 1, step + 1), len(images)))


def _states() -> dict[str, object]:
    return {"random": random.getstate(), "numpy.random": pickle.dumps(np.random.get_state())}


def _same(found: list[np.ndarray], expected: list[np.ndarray], where: str) -> None:
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        if different := int((one != other).any(axis=(1, 2, 3)).sum()):
            raise CheckError(f"{where} {different} of {len(one)} images differ in step {step}")
