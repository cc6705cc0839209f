"""The checks of an augmentation's speed: compiled once, and how many images a second."""

import time

from kerascnn.engine.data.batches.augment import augmenter
from kerascnn.engine.network.inference import to_numpy
from kerascnn.hookspecs import Arrays, Augmentation, kerascnn_augmentations
from kerascnn.runtime.compilation import jit_compile
from kerascnn.testing.augmentations import (
    CLASSES,
    STEPS,
    AugmentationSubject,
    applied,
    augmented,
    needs_images,
    on_device,
    same,
    sample_batch,
    tensors,
)
from kerascnn.testing.checks import CheckError, SkipError, check

TIMED_SIZE, TIMED_BATCH = 160, 32


@check(Augmentation)
def train_step_stays_jitted(subject: AugmentationSubject) -> str:
    """apply compiles once for all steps and gives the same as without compilation, and the
    training step is still compiled."""
    import keras

    on_device(subject)
    if keras.config.backend() == "torch":
        raise SkipError("PyTorch compiles nothing")
    if subject.is_pair:
        _check_compiles_once(subject)
    model = keras.Sequential(
        [keras.Input((subject.size, subject.size, 3)), keras.layers.Flatten(),
         keras.layers.Dense(CLASSES, activation="softmax")]
    )  # fmt: skip
    model.compile("sgd", "categorical_crossentropy", jit_compile=jit_compile())
    images, labels = sample_batch(subject.size)
    model.train_on_batch(*subject.augment(images, labels, 1, 0))
    if model.jit_compile != jit_compile():
        raise CheckError("jit_compile was turned off")
    return "traced once" if subject.is_pair else "the layer runs between the steps"


def _check_compiles_once(subject: AugmentationSubject) -> None:
    policy, traced = subject.made, list[None]()

    def apply(batch: Arrays, arrays: Arrays) -> Arrays:
        traced.append(None)
        return policy.apply(batch, arrays)

    augment = augmenter(Augmentation(policy.draw, apply), (0,), subject.size).afresh
    fast = list(augmented(augment, subject.size))
    if len(traced) > 1:
        raise CheckError(f"apply was traced {len(traced)} times in {STEPS} steps")
    plain = applied(policy, *tensors(subject, 0, 1, 1))  # drawn as by augmenter at step 0
    same(fast[:1], [(to_numpy(plain["images"]), to_numpy(plain["labels"]))], "compiled")


@check(kerascnn_augmentations)
def images_a_second(subject: AugmentationSubject) -> str:
    """Its speed: compiled as in a stage, or in one process of the host; any speed passes."""
    needs_images(subject)
    size = subject.image_size or TIMED_SIZE
    augment = augmenter(subject.build(size), (0,), size).afresh
    images, labels = sample_batch(size, TIMED_BATCH)
    seconds = []
    for step in range(STEPS):
        start = time.perf_counter()
        to_numpy(augment(images, labels, 1, step)[0])
        seconds.append(time.perf_counter() - start)
    return f"{TIMED_BATCH / min(seconds):,.0f} at {size} px"
