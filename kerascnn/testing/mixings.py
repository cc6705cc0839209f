"""The checks of what an augmentation does to an image alone, and to examples together."""

import numpy as np

from kerascnn.engine.network.inference import to_numpy
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Augmentation, Mixing
from kerascnn.testing.augmentations import (
    CLASSES,
    COUNT,
    STEPS,
    AugmentationSubject,
    augmenter_of,
    on_device,
    pair,
    sample_batch,
)
from kerascnn.testing.checks import CheckError, SkipError, check
from kerascnn.testing.partners import TOLERANCE

SHAPES = {"feature maps": (5, 7), "tokens": (9,), "features": ()}  # of an example, without channels


@check(Augmentation)
def treats_each_image_alone(subject: AugmentationSubject) -> None:
    """What becomes of an image depends on the image and its draws alone, not on the other images of
    the batch, and labels stay as they are."""
    pair(subject)
    images, labels = sample_batch(subject.size)
    digests = np.random.default_rng(0).integers(0, 256, (COUNT, 32), np.uint8)
    for number in range(STEPS):
        view = augmenter_of(subject).view
        assert view
        try:
            view(images, digests, labels, number)
        except PluginError as error:
            raise CheckError(str(error)) from error


@check(Mixing)
def mixes_inputs_of_any_shape(subject: AugmentationSubject) -> str:
    """mix.apply takes images [B, H, W, 3] and activations [B, h, w, C], [B, T, C] and [B, C], and
    keeps the shape of inputs and labels, both float32."""
    for name in SHAPES:
        for inputs, labels in _mixed(subject, name):
            wanted = (COUNT, *SHAPES[name], COUNT), (COUNT, CLASSES)
            for part, found, shape in zip(
                ("inputs", "labels"), (inputs, labels), wanted, strict=True
            ):
                if found.shape != shape or found.dtype != np.float32:
                    raise CheckError(f"{part} {found.dtype} {found.shape} of {name} {shape}")
    return ", ".join(SHAPES)


@check(Mixing)
def labels_go_with_inputs(subject: AugmentationSubject) -> None:
    """Each label has the shares that the activations have of each example, to within 0.35, and sums
    to 1."""
    for name, places in SHAPES.items():
        for step, (inputs, labels) in enumerate(_mixed(subject, name)):
            shares = inputs.mean(axis=tuple(range(1, 1 + len(places))))  # [B, B]
            if (wrong := abs(labels.sum(axis=1) - 1).max()) > 1e-5:
                raise CheckError(f"{name}: labels whose sums differ from 1 by up to {wrong:.3g}")
            if (wrong := abs(shares - labels).max()) > TOLERANCE:
                raise CheckError(
                    f"{name}: in step {step} the share of an example in the activations and in the "
                    f"label differ by up to {wrong:.2f}"
                )


def _mixed(subject: AugmentationSubject, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Activations in which each example has a channel of its own, mixed in several steps."""
    on_device(subject)
    mix = augmenter_of(subject).mix if subject.is_pair else None
    if not mix:
        raise SkipError("it mixes nothing")
    one_hot = np.eye(COUNT, dtype=np.float32)
    places = SHAPES[name]
    channels = one_hot.reshape(COUNT, *(1,) * len(places), COUNT)
    inputs = np.broadcast_to(channels, (COUNT, *places, COUNT))
    steps = [mix(inputs, one_hot, 1, step) for step in range(STEPS)]
    return [(to_numpy(inputs), to_numpy(labels)) for inputs, labels in steps]
