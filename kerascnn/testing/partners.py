"""The checks of what an augmentation leaves: images to see, with the labels of what they show."""

import numpy as np

from kerascnn.engine.network.inference import to_numpy
from kerascnn.hookspecs import Augmentation
from kerascnn.testing.augmentations import (
    CLASSES,
    CLOSE,
    COUNT,
    STEPS,
    AugmentationSubject,
    needs_images,
    on_device,
    sample_batch,
)
from kerascnn.testing.checks import CheckError, SkipError, blank, check

TOLERANCE = 0.35  # of a share: images may be brightened, or cut before and after they are mixed
FLAT = 0.1  # of the contrast before; dividing by 255 leaves less, halving it twice more
CELLS = 8  # a side of the textures: many, so that parts of an image are as distinct as all of it


@check(Augmentation)
def labels_go_with_images(subject: AugmentationSubject) -> str:
    """Each label has the shares that the image has: what an image takes from another, to within
    0.35 of it, its label takes from the other's label."""
    on_device(subject)
    images, others = _textures(subject.size)
    labels, mixed = np.eye(CLASSES, dtype=np.float32), 0
    for step in range(STEPS):
        before, shares = map(to_numpy, subject.augment(images, labels, 1, step))
        again = to_numpy(subject.augment(images, labels, 1, step)[0])
        if abs(again - before).mean() > CLOSE:
            raise SkipError("it is not the same twice: see same_for_a_seed")
        changes = []
        for row in range(COUNT):
            changed = images.copy()
            changed[row] = others[row]
            after = to_numpy(subject.augment(changed, labels, 1, step)[0])
            changes.append(abs(after - before).mean(axis=(1, 2, 3)))
        for row, taken in enumerate(np.transpose(changes)):
            if taken.sum() > 1:  # of 255; else nothing is left of any image
                _compare(taken / taken.sum(), shares[row], row, step)
                mixed += taken.max() < (1 - TOLERANCE) * taken.sum()
    return f"{mixed} of {STEPS * COUNT} images mixed"


def _compare(taken: np.ndarray, shares: np.ndarray, row: int, step: int) -> None:
    """Compares the shares float [B] that an image has of each, and those of its label."""
    differs = abs(taken - shares)
    worst = int(differs.argmax())
    if differs[worst] > TOLERANCE:
        raise CheckError(
            f"in step {step} image {row} has {taken[worst]:.0%} of image {worst}, and its label "
            f"{shares[worst]:.0%} of that image's"
        )


def _textures(size: int) -> np.ndarray:
    """Two batches of different textures, uint8 [2, B, S, S, 3]."""
    cells = np.random.default_rng(0).integers(32, 224, (2, COUNT, CELLS, CELLS, 3), np.uint8)
    places = np.arange(size) * CELLS // size
    return cells[:, :, places][:, :, :, places]


@check(Augmentation)
def leaves_something_to_see(subject: AugmentationSubject) -> str:
    """Of images with contrast, at least three in four keep a tenth of it, and are not nearly
    black."""
    needs_images(subject)
    contrast = FLAT * sample_batch(subject.size)[0].std(axis=(1, 2, 3)).mean()
    every = [image for images, _ in subject.batches for image in images]
    bad = sum(bool(image.std() < contrast or blank(image)) for image in every)
    if bad > len(every) / 4:
        raise CheckError(f"{bad} of {len(every)} images are nearly black or of one colour")
    return f"{len(every) - bad} of {len(every)} images"
