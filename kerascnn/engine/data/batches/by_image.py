"""Augments each image for a stored view: by draws of its own, whatever batch it is in."""

import hashlib
from collections.abc import Sequence

import numpy as np

from kerascnn.engine.data.batches.drawn import as_drawn, on_device
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Arrays, Augmentation
from kerascnn.runtime.compilation import BATCH_SIZE, compiled

CLOSE = 0.02
"""Of 255: the rounding error in float32 of interpolating between pixels."""

Generators = Sequence[np.random.Generator]


def generators(view_seed: int, number: int, digests: np.ndarray) -> Generators:
    """A generator for a view of each image: by view seed, number of the view and digest.

    Args:
        digests: SHA-256 of the prepared images, uint8 [B, 32].
    """
    view = hashlib.sha256(f"view {number} of seed {view_seed}".encode()).digest()
    keys = (hashlib.sha256(view + digest.tobytes()).digest() for digest in digests)
    # 128 bits: as many as NumPy's generator has; more only take longer
    return [np.random.default_rng(int.from_bytes(key[:16])) for key in keys]


def windows_by_image(images: np.ndarray, size: int, rngs: Generators) -> np.ndarray:
    """A window [S, S] at a random place in each image [B, P, P, 3], by its own generator."""
    if images.shape[1] == size:
        return images
    room = images.shape[1] - size
    corners = [rng.integers(0, room + 1, 2) for rng in rngs]
    each = zip(images, corners, strict=True)
    return np.stack([image[top : top + size, left : left + size] for image, (top, left) in each])


class ByImage:
    """Augments the images of a view by an `Augmentation`; see `Augmenter.view`."""

    def __init__(self, policy: Augmentation, view_seed: int, image_size: int, named: str) -> None:
        self._draw, self._apply = policy.draw, compiled(policy.apply)
        self._view_seed, self._image_size, self._named = view_seed, image_size, named
        self._checked = False

    def __call__(
        self, images: np.ndarray, digests: np.ndarray, targets: np.ndarray, number: int
    ) -> np.ndarray:
        """Images float32 [B, S, S, 3] of [B, P, P, 3]; B is at most `BATCH_SIZE`."""
        rngs = generators(self._view_seed, number, digests)
        drawn = [self._draw(rng, 1) for rng in rngs]
        arrays = {name: np.concatenate([one[name] for one in drawn]) for name in drawn[0]}
        windows = windows_by_image(images, self._image_size, rngs)
        filled = np.resize(np.arange(len(images)), BATCH_SIZE)
        batch = {"images": windows[filled], "labels": targets[filled]}
        arrays = {name: array[filled] for name, array in arrays.items()}
        augmented = self._run(batch, arrays)
        if not self._checked:
            self._check(batch, arrays, augmented)
            self._checked = True
        return augmented["images"][: len(images)]

    def _run(self, batch: Arrays, arrays: Arrays) -> Arrays:
        from keras import ops

        made = self._apply(on_device(batch), as_drawn(arrays))
        return {name: ops.convert_to_numpy(made[name]) for name in batch}

    def _check(self, batch: Arrays, arrays: Arrays, augmented: Arrays) -> None:
        """Augments some images again by the same draws, among others with other draws."""
        other = np.random.default_rng(0).random(BATCH_SIZE) < 0.5
        other[0] = True  # draws of single images that refer to one refer to this
        images = np.where(other[:, None, None, None], 255 - batch["images"], batch["images"])
        labels = np.roll(batch["labels"], 1, axis=1)
        drawn = {name: array.copy() for name, array in arrays.items()}
        for name, array in drawn.items():
            array[other] = np.roll(arrays[name], 1, axis=0)[other]
        again = self._run({"images": images, "labels": labels}, drawn)
        distance = abs(again["images"] - augmented["images"])[~other].max()
        if distance > CLOSE or not np.array_equal(augmented["labels"], batch["labels"]):
            raise PluginError(
                f"{self._named}: apply must treat each image by itself and leave labels as they "
                "are, so that a view of an image can be stored, but its result depends on the "
                "other images of the batch, on labels or on the time of the call. Return what "
                "mixes images as `mix`, a kerascnn.Mixing: Augmentation(draw, apply, mix)."
            )
