"""Runs an augmentation policy on the device, drawn anew for each (seed, stage, epoch, step)."""

from typing import Any

import numpy as np

from kerascnn.data.batches import Augment
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Augmentation
from kerascnn.runtime import compiled


def augmenter(policy: Any, seed: tuple[int, ...]) -> Augment:
    """Makes an `augment(images, targets, epoch, step)` out of a policy.

    Args:
        policy: An `Augmentation`, or a Keras preprocessing layer, whose randomness is its own.
        seed: What the draw is keyed by, before epoch and step.
    """
    draw, run = _halves(policy)

    def augment(images: Any, targets: Any, epoch: int, step: int) -> tuple[Any, Any]:
        arrays = draw(np.random.default_rng([*seed, epoch, step]), len(images))
        batch = run(_on_device({"images": images, "labels": targets}), _on_device(arrays))
        return batch["images"], batch["labels"]

    return augment


def _halves(policy: Any) -> tuple[Any, Any]:
    import keras

    if isinstance(policy, Augmentation):
        return policy.draw, compiled(policy.apply)
    if isinstance(policy, keras.layers.Layer):
        return lambda rng, batch_size: {}, lambda batch, arrays: policy(batch, training=True)
    raise PluginError(
        "an augmentation's build must return kerascnn.Augmentation or a Keras layer, "
        f"not {type(policy).__name__}."
    )


def _on_device(arrays: dict[str, Any]) -> dict[str, Any]:
    from keras import ops

    return {name: ops.convert_to_tensor(array, "float32") for name, array in arrays.items()}
