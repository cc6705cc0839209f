"""Runs an augmentation: afresh in every step, or once for each stored view of an image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.by_image import ByImage
from kerascnn.engine.data.batches.drawn import as_drawn, on_device
from kerascnn.engine.data.batches.feed import Augment
from kerascnn.engine.data.batches.host_augment import Host, HostAugmenter
from kerascnn.engine.data.decoding.preparation import random_windows
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Arrays, Augmentation, HostAugmentation, Mixing
from kerascnn.runtime.compilation import compiled


@dataclass(frozen=True)
class Augmenter:
    """What a stage does to its training examples.

    Args:
        afresh: `afresh(images, targets, epoch, step)` augments and mixes the images of a step.
        view: `view(images, digests, targets, number)` augments each image by itself, for the stored
            view of this number. None: the policy draws by itself, for whole batches.
        mix: `mix(inputs, targets, epoch, step)` mixes the stored examples of a step. None: nothing
            is mixed, or only by `afresh`.
    """

    afresh: Augment
    view: Callable[[Any, np.ndarray, Any, int], Any] | None = None
    mix: Augment | None = None

    def within(self, guard: Callable[[Callable], Callable]) -> "Augmenter":
        """With each function inside another."""
        view, mix = self.view and guard(self.view), self.mix and guard(self.mix)
        return Augmenter(guard(self.afresh), view, mix)


def augmenter(
    policy: Any,
    seed: tuple[int, ...],
    image_size: int,
    named: str = "the augmentation",
    view_seed: int = 0,
) -> Augmenter:
    """Makes the augmenter of a policy.

    The policy is an `Augmentation`, a `HostAugmentation`, or a Keras preprocessing layer, whose
    generators are seeded. Images larger than `image_size` are first cut to a random window of this
    size.

    Args:
        seed: Keys what is drawn in a step, together with epoch and step.
        named: What messages call the policy.
        view_seed: Keys what is drawn for a view, together with its number and the image.
    """
    import keras

    if isinstance(policy, Augmentation):
        view = ByImage(policy, view_seed, image_size, named)
        mix = _mixing(policy.mix, seed) if policy.mix else None
        return Augmenter(_in_steps(policy, seed, image_size), view, mix)
    if isinstance(policy, HostAugmentation):
        host = HostAugmenter(Host(policy, named), seed, view_seed, image_size)
        return Augmenter(host.afresh, host.view)
    if isinstance(policy, keras.layers.Layer):
        return Augmenter(_layer(policy, seed, image_size))
    raise PluginError(
        "an augmentation's build must return kerascnn.Augmentation, kerascnn.HostAugmentation or "
        f"a Keras layer, not {type(policy).__name__}."
    )


def _generator(seed: tuple[int, ...], epoch: int, step: int) -> np.random.Generator:
    # steps from 1: NumPy ignores a trailing 0 in a seed, which would give the seed of the order
    return np.random.default_rng([*seed, epoch, step + 1])


def _in_steps(policy: Augmentation, seed: tuple[int, ...], image_size: int) -> Augment:
    mix = policy.mix

    def apply(images: Arrays, drawn: Arrays, mixing: Arrays) -> Arrays:
        batch = policy.apply(images, drawn)
        if mix is None:
            return batch
        mixed = mix.apply({"inputs": batch["images"], "labels": batch["labels"]}, mixing)
        return {"images": mixed["inputs"], "labels": mixed["labels"]}

    run = compiled(apply)

    def augment(images: Any, targets: Any, epoch: int, step: int) -> tuple[Any, Any]:
        rng = _generator(seed, epoch, step)
        drawn = policy.draw(rng, len(images))
        mixing = mix.draw(rng, len(images)) if mix else {}
        images = random_windows(images, image_size, rng)
        batch = on_device({"images": images, "labels": targets})
        batch = run(batch, as_drawn(drawn), as_drawn(mixing))
        return batch["images"], batch["labels"]

    return augment


def _mixing(mix: Mixing, seed: tuple[int, ...]) -> Augment:
    run = compiled(mix.apply)

    def mixed(inputs: Any, targets: Any, epoch: int, step: int) -> tuple[Any, Any]:
        arrays = mix.draw(_generator(seed, epoch, step), len(inputs))
        batch = run(on_device({"inputs": inputs, "labels": targets}), as_drawn(arrays))
        return batch["inputs"], batch["labels"]

    return mixed


def _layer(layer: Any, seed: tuple[int, ...], image_size: int) -> Augment:
    states = [v for v in layer.variables if v.path.endswith("seed_generator_state")]

    def augment(images: Any, targets: Any, epoch: int, step: int) -> tuple[Any, Any]:
        rng = _generator(seed, epoch, step)
        _seed(states, rng)
        images = random_windows(images, image_size, rng)
        batch = _through(layer, on_device({"images": images, "labels": targets}))
        return batch["images"], batch["labels"]

    return augment


def _seed(states: Sequence[Any], rng: np.random.Generator) -> None:
    """Seeds a Keras layer, which draws by itself, from this generator."""
    for state in states:
        state.assign(rng.integers(0, 2**30, state.shape).astype(state.dtype))


def _through(layer: Any, batch: Arrays) -> Arrays:
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
    return on_device(batch)  # float32, whatever the dtype policy
