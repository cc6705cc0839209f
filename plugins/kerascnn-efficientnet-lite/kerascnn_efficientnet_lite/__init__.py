"""EfficientNet-Lite0 to Lite4 (Tan & Le, arXiv 1905.11946) for kerascnn, on every backend of Keras.

The Lite variants have no squeeze-and-excitation, and ReLU6 instead of swish.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from kerascnn import Component, Params, Weights, build_once, classifier_head, hookimpl

from .variants import VARIANTS

if TYPE_CHECKING:
    import keras


class EfficientNetLiteParams(Params):
    weights: str = Field(
        "imagenet",
        description='"imagenet", "none", or the path of a Keras weights file of this network; '
        "its classifier is dropped.",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Fraction of the features dropped.")


class UnpublishedParams(EfficientNetLiteParams):
    """Of the networks whose ImageNet weights no package has."""

    weights: str = Field(
        "none",
        description='"none", or the path of a Keras weights file of this network; its classifier '
        "is dropped.",
    )


@hookimpl
def kerascnn_architectures() -> list[Component]:
    return [_component(name) for name in VARIANTS]


def _component(name: str) -> Component:
    variant = VARIANTS[name]
    millions = f"{variant.parameters / 1e6:.1f} million parameters, {variant.image_size} pixels"
    pretrained = "ImageNet weights" if variant.package else "weights of your own only"
    return Component(
        name,
        partial(build, name),
        EfficientNetLiteParams if variant.package else UnpublishedParams,
        f"EfficientNet-Lite{name[-1]}: {millions}, {pretrained}",
        partial(check, name),
        partial(weights, name),
    )


def check(name: str, params: EfficientNetLiteParams, *, image_size: int) -> dict[str, str]:
    """Faults of the file of weights: {key: fault}."""
    if params.weights == "none" or Path(params.weights).is_file():
        return {}
    if params.weights != "imagenet":
        return {"weights": f"no such file, relative to {Path.cwd()}"}
    if VARIANTS[name].package:
        return {}
    return {"weights": f'no package has the ImageNet weights of {name}; "none", or a file'}


def weights(name: str, params: EfficientNetLiteParams, *, image_size: int) -> Weights | None:
    variant = VARIANTS[name]
    if params.weights == "none":
        return None
    if params.weights != "imagenet":
        return Weights(params.weights, at_hand=Path(params.weights).is_file())
    return Weights(
        variant.package,
        licence="Apache-2.0",
        trained_on="ImageNet-1k",
        image_size=variant.image_size,
        at_hand=variant.installed,
    )


def build(
    name: str, params: EfficientNetLiteParams, *, image_size: int, num_classes: int
) -> "keras.Model":
    """Builds a network; its blocks are stem, block1, block2 and so on, and top.

    Args:
        name: Of the network, such as "efficientnet_lite0".
        params: The weights to start from and the head's dropout.
        image_size: Height and width S of the images, pixels.
        num_classes: Number of classes K, at least 2.

    Returns:
        A flat functional model from float32 [B, S, S, 3] in 0-255 to probabilities [B, K].

    Raises:
        InputError: The weights are missing, damaged, or of another network.
    """
    import keras

    file = Path(params.weights)
    changed = file.stat().st_mtime_ns if file.is_file() else 0
    decides = (name, image_size, params.weights, changed)
    network = build_once(decides, lambda: loaded_backbone(name, image_size, params.weights))
    outputs = classifier_head(network.output, num_classes, dropout=params.dropout)
    return keras.Model(network.input, outputs, name=name)


def loaded_backbone(name: str, image_size: int, weights: str) -> "keras.Model":
    """A network without its classifier, with its weights."""
    import keras

    from .network import backbone
    from .pretrained import load

    inputs = keras.Input((image_size, image_size, 3))
    network = keras.Model(inputs, backbone(inputs, VARIANTS[name]))
    load(network, name, weights)
    return network
