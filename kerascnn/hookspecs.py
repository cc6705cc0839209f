"""The contract between kerascnn and its plugins: a hook for each kind, and the types that they use.

A plugin is a module that implements some of the hooks, each marked with `kerascnn.hookimpl`,
and that an entry point of the group `kerascnn` names. The built-in components are plugins too.
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
"""Arrays by name: NumPy arrays on the host, the backend's tensors on the device."""


class Params(BaseModel):
    """Base class of a component's parameters; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class NoParams(Params):
    """The parameters of a component that has none."""


@dataclass(frozen=True)
class Component:
    """What a plugin registers under a name.

    Args:
        name: The name that an experiment writes, in snake_case.
        build: Builds the component, as the hook of its kind says. Heavy imports belong inside it.
        params: Validates the component's TOML keys, before anything heavy is imported.
        summary: One line for `kerascnn plugins`.
        check: `check(params, *, image_size) -> {key: fault}` returns what cannot work: a file that
            does not exist, images that are too small. Called when an experiment is loaded; must
            import nothing heavy. Default none.
    """

    name: str
    build: Callable[..., Any]
    params: type[Params] = NoParams
    summary: str = ""
    check: Callable[..., Mapping[str, str]] | None = None


class Source(Protocol):
    """A random-access source of labelled images: a map-style dataset of PyTorch or Grain.

    `source[i]` is `(image, label)`. The image is a path, encoded bytes, or uint8 [H, W, 3] (grey:
    [H, W] or [H, W, 1]); the label is an int, the index of its class name. An optional
    `fingerprint` (str) changes whenever an image or a label changes; without it kerascnn hashes
    the images.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, int]: ...


@dataclass(frozen=True)
class Splits:
    """A dataset: three sources that share no image, and the class names.

    Args:
        train: The images to train on.
        validation: The images that epochs and stages are compared on.
        test: The images that the final accuracy is measured on.
        class_names: In the order of the labels; at least two.
        ignored: What was found besides images, with its count, such as {"HEIC files": 2}.
    """

    train: Source
    validation: Source
    test: Source
    class_names: Sequence[str]
    ignored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Augmentation:
    """An augmentation in two functions, so that its random numbers are the same on every backend.

    Args:
        draw: `draw(rng, batch_size) -> arrays` draws the random numbers on the host. `rng` is a
            NumPy generator keyed by (seed, stage, epoch, step); the first axis of each array is
            `batch_size`.
        apply: `apply(batch, arrays) -> batch` applies them on the device, using only `keras.ops`.
            A batch is `{"images": float32 [B, H, W, 3] in 0-255, "labels": float32 [B, K]}`.
    """

    draw: "Callable[[np.random.Generator, int], Arrays]"
    apply: Callable[[Arrays, Arrays], Arrays]


@dataclass(frozen=True)
class HostAugmentation:
    """An augmentation of one image at a time on the CPU, with NumPy or any other library.

    It runs ahead of the training step that uses the image, in other processes where that is faster.
    The labels stay as they are.

    Args:
        apply: `apply(image, rng) -> image` returns an augmented copy. Both images are uint8
            [H, W, 3] in RGB, of the same size. `rng` is a NumPy generator keyed by (seed, stage,
            epoch, step, place in the batch): use no other randomness. `cloudpickle` must be able
            to send `apply` to another process.
    """

    apply: "Callable[[np.ndarray, np.random.Generator], np.ndarray]"


@dataclass(frozen=True)
class Network:
    """A functional model and its blocks.

    Args:
        model: Maps float32 [B, S, S, 3] in 0-255 to probabilities float32 [B, K]; the layers of
            its classifier are named `head_...`.
        blocks: Glob patterns of layer names by block, from the input on. A layer belongs to the
            first block with a pattern that matches.
        weights: Description of the weights, such as "weights of resnet_50_imagenet"; default the
            value of the parameter `weights`.
    """

    model: "keras.Model"
    blocks: Mapping[str, Sequence[str]]
    weights: str = ""


@hookspec
def kerascnn_datasets() -> list[Component]:
    """Datasets. `build(params, *, seed) -> Splits`.

    Example:
        import numpy as np
        from kerascnn import Component, Splits, hookimpl

        def squares(count, seed):
            rng = np.random.default_rng(seed)
            return [
                (rng.integers(120 * (i % 2), 120 * (i % 2) + 120, (32, 32, 3), "uint8"), i % 2)
                for i in range(count)
            ]

        def build(params, *, seed):
            sources = squares(60, 1), squares(30, 2), squares(30, 3)
            return Splits(*sources, class_names=["dark", "bright"])

        @hookimpl
        def kerascnn_datasets():
            return [Component("squares", build, summary="dark and bright squares")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_augmentations() -> list[Component]:
    """Augmentations. `build(params, *, image_size, num_classes) -> Augmentation`.

    `build` may also return a `HostAugmentation`, which augments one image at a time with a library
    such as OpenCV; or a Keras preprocessing layer or a `keras.layers.Pipeline` of them, which draws
    its random numbers from Keras.

    Example:
        from kerascnn import Augmentation, Component, hookimpl

        def build(params, *, image_size, num_classes):
            from keras import ops

            def draw(rng, batch_size):
                return {"gain": rng.uniform(0.8, 1.2, (batch_size, 1, 1, 1)).astype("float32")}

            def apply(batch, arrays):
                return {**batch, "images": ops.clip(batch["images"] * arrays["gain"], 0, 255)}

            return Augmentation(draw, apply)

        @hookimpl
        def kerascnn_augmentations():
            return [Component("gain", build, summary="darker and brighter")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_architectures() -> list[Component]:
    """Architectures. `build(params, *, image_size, num_classes) -> Network | keras.Model`.

    The blocks of a plain functional model are the parts of its layers' names before the first
    underscore, in the order of the layers. A parameter `weights` with a value other than "none"
    means that the backbone is pretrained: its BatchNorm layers stay frozen unless a stage says
    otherwise.

    Example:
        from kerascnn import Component, classifier_head, hookimpl

        def build(params, *, image_size, num_classes):
            import keras
            from keras import layers

            images = keras.Input((image_size, image_size, 3))
            x = layers.Rescaling(1 / 255, name="stem_rescaling")(images)
            x = layers.Conv2D(16, 3, activation="relu", name="stem_conv")(x)
            return keras.Model(images, classifier_head(x, num_classes))

        @hookimpl
        def kerascnn_architectures():
            return [Component("one_convolution", build, summary="a single convolution")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_schedules() -> list[Component]:
    """Learning-rate schedules of a stage.

    `build(params, *, peak_learning_rate, steps, steps_per_epoch)` returns a
    `keras.optimizers.schedules.LearningRateSchedule` or a `keras.callbacks.Callback`. `steps` is
    the number of steps of the stage.

    Example:
        from kerascnn import Component, hookimpl

        def build(params, *, peak_learning_rate, steps, steps_per_epoch):
            from keras.optimizers.schedules import CosineDecay

            return CosineDecay(peak_learning_rate, steps)

        @hookimpl
        def kerascnn_schedules():
            return [Component("falling_cosine", build, summary="cosine decay to zero")]
    """
    raise NotImplementedError
