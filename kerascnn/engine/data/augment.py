"""Runs an augmentation; its draws follow from (seed, stage, epoch, step)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from kerascnn.engine.data.batches import Augment, to_device
from kerascnn.engine.data.host_augment import Host, HostAugmenter
from kerascnn.engine.data.preparation import random_windows
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Augmentation, HostAugmentation
from kerascnn.runtime.compilation import compiled


def augmenter(
    policy: Any, seed: tuple[int, ...], image_size: int, named: str = "the augmentation"
) -> Augment:
    """Makes an `augment(images, targets, epoch, step)`; its draws follow from seed, epoch, step.

    The policy is an `Augmentation`, a `HostAugmentation`, or a Keras preprocessing layer, whose
    generators are seeded. Images larger than `image_size` are first cut to a random window of this
    size.

    Args:
        named: What messages call the policy.
    """
    if isinstance(policy, HostAugmentation):
        return HostAugmenter(Host(policy, named), seed, image_size)
    draw, run = _halves(policy)

    def augment(images: Any, targets: Any, epoch: int, step: int) -> tuple[Any, Any]:
        # steps from 1: NumPy ignores a trailing 0 in a seed, which would give the seed of the order
        rng = np.random.default_rng([*seed, epoch, step + 1])
        arrays = draw(rng, len(images))
        images = random_windows(images, image_size, rng)
        batch = run(_on_device({"images": images, "labels": targets}), as_drawn(arrays))
        return batch["images"], batch["labels"]

    return augment


def _halves(policy: Any) -> tuple[Any, Any]:
    import keras

    if isinstance(policy, Augmentation):
        return policy.draw, compiled(policy.apply)
    if isinstance(policy, keras.layers.Layer):
        states = [v for v in policy.variables if v.path.endswith("seed_generator_state")]
        return partial(_seed, states), lambda batch, arrays: _through(policy, batch)
    raise PluginError(
        "an augmentation's build must return kerascnn.Augmentation, kerascnn.HostAugmentation or "
        f"a Keras layer, not {type(policy).__name__}."
    )


def _seed(states: Sequence[Any], rng: np.random.Generator, batch_size: int) -> dict[str, Any]:
    """Seeds a Keras layer, which draws by itself, from this generator."""
    for state in states:
        state.assign(rng.integers(0, 2**30, state.shape).astype(state.dtype))
    return {}


def _through(layer: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """Runs a Keras layer, or several in turn; one that does not take labels gets the images."""
    import keras
    from keras import layers

    if isinstance(layer, layers.Pipeline | keras.Sequential):
        for part in layer.layers:
            batch = _through(part, batch)
        return batch
    # RandomGrayscale should take a dict as its base class does, but fails (Keras 3.15)
    if hasattr(layer, "transform_labels") and not isinstance(layer, layers.RandomGrayscale):
        batch = layer(batch, training=True)
    else:
        batch = {**batch, "images": layer(batch["images"], training=True)}
    return _on_device(batch)  # float32, whatever the dtype policy


def as_drawn(arrays: dict[str, Any]) -> dict[str, Any]:
    """The draws on the device: integers, which may be indices, as int32, all else as float32."""
    from keras import ops

    integers = {name for name, array in arrays.items() if np.asarray(array).dtype.kind in "iu"}
    return {
        name: ops.convert_to_tensor(array, "int32") if name in integers else to_device(array)
        for name, array in arrays.items()
    }


def _on_device(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: to_device(array) for name, array in arrays.items()}
