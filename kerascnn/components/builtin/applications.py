"""The networks of `keras.applications`: the table `applications.csv`, and their families.

A network's name is the snake_case name of its constructor, in which each family's name is one
word: `ResNet50V2` is `resnet50_v2`, `EfficientNetV2B0` is `efficientnet_v2_b0`. `weights` is the
file of its ImageNet weights without the classifier, as Keras publishes it, below `PUBLISHER`;
`image_size` and `trained_on` are those of these weights. For MobileNet and MobileNetV2, Keras has
no hashes, and a file for each of several image sizes.
"""

import csv
import re
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import Any

PUBLISHER = "https://storage.googleapis.com/"

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB, 0-1
RESCALING: dict[str, tuple[Any, Any]] = {  # scale and offset of pixels in 0-255
    "tf": (1 / 127.5, -1.0),
    "tf128": (1 / 128, -1.0),
    "torch": (
        [1 / (255 * deviation) for deviation in DEVIATION],
        [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
    ),
    "torch255": (  # for EfficientNet, which divides by 255 itself
        [1 / deviation for deviation in DEVIATION],
        [-255 * mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
    ),
    "caffe": (1.0, [-103.939, -116.779, -123.68]),  # ImageNet's mean, BGR
}


@dataclass(frozen=True)
class Family:
    """The traits that the networks of one paper share.

    Args:
        paper: Its arXiv id.
        licence: That of the weights which Keras converted, as the documentation of Keras 2 states
            it; of ConvNeXt, EfficientNet, EfficientNetV2 and MobileNetV3, where it states none,
            that of the repository in which their authors publish them.
        rescaling: Key of `RESCALING`: the preprocessing that the weights were trained with.
        unit: Regular expression that finds the block in a layer's name.
        block: The block's name, a template of the match.
        smallest: The smallest image that Keras allows, in pixels.
        sizes: The image sizes that have their own weights file, in pixels; others use that of 224.
        options: Further arguments of the constructors.
        stem_end: Index of the last layer of the stem, if Keras names only the last layer of each
            module.
    """

    paper: str
    licence: str
    rescaling: str
    unit: str
    block: str = r"\g<0>"
    smallest: int = 32
    sizes: tuple[int, ...] = (224,)
    options: tuple[tuple[str, Any], ...] = ()
    stem_end: int | None = None


RESIDUAL = r"conv\d+_block\d+"
MBCONV = r"block\d+[a-z]|top"
UNSCALED = (("include_preprocessing", False),)  # `preprocess` does it, in float32
FAMILIES = {
    "convnext": Family(
        "2201.03545", "MIT", "torch", r"(stage_\d+|downsampling)_block_\d+", options=UNSCALED
    ),
    "densenet": Family("1608.06993", "BSD-3-Clause", "torch", rf"{RESIDUAL}|pool\d+"),
    "efficientnet": Family("1905.11946", "Apache-2.0", "torch255", MBCONV),
    "efficientnet_v2": Family("2104.00298", "Apache-2.0", "tf128", MBCONV, options=UNSCALED),
    "efficientnet_v2_b": Family("2104.00298", "Apache-2.0", "torch", MBCONV, options=UNSCALED),
    "inception_resnet_v2": Family(
        "1602.07261",
        "Apache-2.0",
        "tf",
        r"mixed_\d[ab]|block\d+_\d+|conv_7b",
        smallest=75,
        stem_end=18,
    ),
    "inception_v3": Family(
        "1512.00567", "Apache-2.0", "tf", r"mixed\d+$", smallest=75, stem_end=18
    ),
    "mobilenet": Family(
        "1704.04861",
        "Apache-2.0",
        "tf",
        r"conv_[dp]w_(\d+)",
        r"block_\1",
        sizes=(128, 160, 192, 224),
    ),
    "mobilenet_v2": Family(
        "1801.04381",
        "Apache-2.0",
        "tf",
        r"expanded_conv|block_\d+|Conv_1",
        sizes=(96, 128, 160, 192, 224),
    ),
    "mobilenet_v3": Family(
        "1905.02244", "Apache-2.0", "tf", r"expanded_conv(_\d+)?|conv_1", options=UNSCALED
    ),
    "nasnet": Family("1707.07012", "Apache-2.0", "tf", r"_(stem_\d|reduce_\d+|\d+)$", r"cell_\1"),
    "resnet": Family("1512.03385", "MIT", "caffe", RESIDUAL),
    "resnet_v2": Family("1603.05027", "BSD-3-Clause", "tf", RESIDUAL),
    "vgg": Family("1409.1556", "CC-BY-4.0", "caffe", r"block\d+"),
    "xception": Family("1610.02357", "MIT", "tf", r"block\d+", smallest=71),
}


@dataclass(frozen=True)
class Application:
    """A line of the table; every field is text."""

    name: str
    constructor: str
    family: str
    parameters: str
    image_size: str
    trained_on: str
    weights: str
    md5: str
    sha256: str


def applications() -> list[Application]:
    text = (files(__package__) / "applications.csv").read_text(encoding="utf-8")
    return [Application(**row) for row in csv.DictReader(text.splitlines())]


def blocks(backbone: Any, family: Family) -> dict[str, list[str]]:
    """Groups the names of layers with weights by block, from the input.

    A layer that Keras only numbers (`conv2d_17`) is renamed after its block and place, so that its
    name does not depend on the networks built before.
    """
    grouped: dict[str, list[str]] = {}
    block_of = _block_names([layer.name for layer in backbone.operations], family)
    for place, layer in enumerate(backbone.operations):
        block = block_of[place]
        kind = re.sub(r"_\d+$", "", layer.name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            layer.name = f"{block}_{kind}_{place}"
        if getattr(layer, "weights", None):
            grouped.setdefault(block, []).extend(_flat_names(layer))
    return grouped


def _flat_names(layer: Any) -> list[str]:
    """The layer's name, or those of the layers in it: ConvNeXt has Sequential models."""
    return [one.name for one in getattr(layer, "layers", [layer])]


def _block_names(names: list[str], family: Family) -> list[str]:
    """The block of each layer, from its name; without one, that of the layer before it.

    In families that name only the last layer of a module, that of the layer after it.
    """
    matches = [re.search(family.unit, name) for name in names]
    found = [match.expand(family.block) if match else "" for match in matches]

    def latest(block: str, name: str) -> str:
        return name or block

    if family.stem_end is None:
        return list(accumulate(["stem", *found], latest))[1:]
    found[family.stem_end] = "stem"
    return list(accumulate(reversed(found), latest))[::-1]
