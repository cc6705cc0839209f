"""The contract between kerascnn and its plugins: four hooks and the types that they speak of.

A plugin is a module with some of the four functions below, marked with `kerascnn.hookimpl`, and
an entry point in the group `kerascnn`. The built-in components are plugins too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pluggy
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import keras
    import numpy as np

hookspec = pluggy.HookspecMarker("kerascnn")
hookimpl = pluggy.HookimplMarker("kerascnn")

Arrays = dict[str, Any]
"""Names to arrays: NumPy on the host, the backend's tensors on the device."""


class Params(BaseModel):
    """Base of a component's parameters: frozen; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class NoParams(Params):
    """For a component that takes no parameters."""


@dataclass(frozen=True)
class Component:
    """What a plugin registers under a name.

    Args:
        name: What the TOML writes, snake_case.
        build: Makes the component; see the hook of its kind. Heavy imports stand inside it.
        params: Validates the component's own TOML keys, before anything heavy is imported.
        summary: One line for `kerascnn plugins`.
        check: `check(params, *, image_size) -> {key: fault}`, what cannot work on this machine: a
            file that does not exist, images that are too small. It is called when an experiment is
            loaded, and imports nothing heavy. Default none.
    """

    name: str
    build: Callable[..., Any]
    params: type[Params] = NoParams
    summary: str = ""
    check: Callable[..., Mapping[str, str]] | None = None


class Source(Protocol):
    """A random-access source of labelled images: the map-style protocol of torch and grain.

    `source[i]` is `(image, label)`: the image a path, encoded bytes, or uint8 [H, W, 3] (or
    [H, W] or [H, W, 1], grey); the label an int, the index of its class name. A source may have
    a `fingerprint` (str), which changes whenever any image or label does; where it has none,
    kerascnn hashes the images.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, int]: ...


@dataclass(frozen=True)
class Splits:
    """A dataset: three sources that share no image, and the names of the classes.

    `ignored` tells what was found besides the images and how often, such as {"HEIC files": 2}.
    """

    train: Source
    validation: Source
    test: Source
    class_names: Sequence[str]
    ignored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Augmentation:
    """A policy in two halves, so that what it draws is the same on every backend.

    Args:
        draw: `draw(rng, batch_size) -> arrays`, on the host, with a NumPy generator that is
            keyed by (seed, stage, epoch, step). Each array's first axis is `batch_size`.
        apply: `apply(batch, arrays) -> batch`, on the device, in `keras.ops` alone. The batch is
            `{"images": float32 [B, H, W, 3] in 0-255, "labels": float32 [B, K]}`, and so is
            what it returns.
    """

    draw: "Callable[[np.random.Generator, int], Arrays]"
    apply: Callable[[Arrays, Arrays], Arrays]


@dataclass(frozen=True)
class Network:
    """A functional model and its blocks.

    Args:
        model: Takes float32 [B, S, S, 3] in 0-255, gives probabilities float32 [B, K]; the
            layers of its classifier are named `head_...`.
        blocks: From the input on, each block's name and the glob patterns of its layers' names.
            A layer belongs to the first block that matches it.
        weights: What the weights are, for people, such as "weights of resnet_50_imagenet"; default
            what the parameter `weights` says.
    """

    model: "keras.Model"
    blocks: Mapping[str, Sequence[str]]
    weights: str = ""


@hookspec
def kerascnn_datasets() -> list[Component]:
    """Datasets. `build(params, *, seed) -> Splits`.

    Example:
        @hookimpl
        def kerascnn_datasets():
            return [Component("two_squares", lambda params, *, seed: two_squares(seed))]
    """
    raise NotImplementedError


@hookspec
def kerascnn_augmentations() -> list[Component]:
    """Augmentations. `build(params, *, image_size, num_classes) -> Augmentation`.

    A Keras preprocessing layer, or a `keras.layers.Pipeline` of them, may be returned as it is;
    its randomness is then Keras's own.

    Example:
        def build(params, *, image_size, num_classes):
            def draw(rng, batch_size):
                return {"gain": rng.uniform(0.8, 1.2, (batch_size, 1, 1, 1)).astype("float32")}

            def apply(batch, arrays):
                return {**batch, "images": ops.clip(batch["images"] * arrays["gain"], 0, 255)}

            return Augmentation(draw, apply)
    """
    raise NotImplementedError


@hookspec
def kerascnn_architectures() -> list[Component]:
    """Architectures. `build(params, *, image_size, num_classes) -> Network | keras.Model`.

    A plain functional model's blocks are read off its layers' names: the part before the first
    underscore, in the order of the layers. A parameter `weights` other than "none" says that the
    backbone is pretrained: its BatchNorm layers then stay frozen unless a stage says otherwise.

    Example:
        def build(params, *, image_size, num_classes):
            inputs = keras.Input((image_size, image_size, 3))
            x = layers.Rescaling(1 / 255, name="stem_rescaling")(inputs)
            x = layers.Conv2D(16, 3, activation="relu", name="stem_conv")(x)
            return keras.Model(inputs, classifier_head(x, num_classes))
    """
    raise NotImplementedError


@hookspec
def kerascnn_schedules() -> list[Component]:
    """Learning-rate schedules, one a stage.

    `build(params, *, peak_learning_rate, steps, steps_per_epoch)` returns a
    `keras.optimizers.schedules.LearningRateSchedule` or a `keras.callbacks.Callback`; `steps`
    are the stage's own.

    Example:
        def build(params, *, peak_learning_rate, steps, steps_per_epoch):
            return keras.optimizers.schedules.CosineDecay(peak_learning_rate, steps)
    """
    raise NotImplementedError
