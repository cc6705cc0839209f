"""The pretrained networks of `keras.applications`, out of one table, `applications.csv`.

A network's name is the snake_case name of its constructor, in which each family's name is one
word: `ResNet50V2` is `resnet50_v2`, `EfficientNetV2B0` is `efficientnet_v2_b0`. `weights` is the
file of its ImageNet weights without the classifier, as Keras publishes it, below `PUBLISHER`;
Keras gives MobileNet and MobileNetV2 no hash, and one file for each of several picture sizes.
"""

import csv
import re
import warnings
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from pydantic import Field

from kerascnn import Component, InputError, Network, Params, classifier_head

PUBLISHER = "https://storage.googleapis.com/"

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB, 0-1
RESCALING: dict[str, tuple[Any, Any]] = {  # scale and offset of pixels in 0-255
    "tf": (1 / 127.5, -1.0),
    "tf128": (1 / 128, -1.0),
    "torch": (
        [1 / (255 * deviation) for deviation in DEVIATION],
        [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
    ),
    "torch255": (
        [1 / deviation for deviation in DEVIATION],
        [-255 * mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
    ),
    "caffe": (1.0, [-103.939, -116.779, -123.68]),  # ImageNet's mean, BGR
}


@dataclass(frozen=True)
class Family:
    """What the networks of one paper share.

    Args:
        paper: Its arXiv id.
        rescaling: Key of `RESCALING`: the preprocessing that the weights were trained with.
        unit: Regular expression that finds the block in a layer's name.
        block: The block's name, a template of the match.
        smallest: The smallest picture that Keras allows, in pixels.
        sizes: The picture sizes that have a weights file of their own, in pixels; another takes
            the file of 224.
        options: Further arguments of the constructors.
        stem_end: Where Keras names only the layer that ends a module: index of the layer that
            ends the stem.
    """

    paper: str
    rescaling: str
    unit: str
    block: str = r"\g<0>"
    smallest: int = 32
    sizes: tuple[int, ...] = (224,)
    options: tuple[tuple[str, Any], ...] = ()
    stem_end: int | None = None


RESIDUAL = r"conv\d+_block\d+"
MBCONV = r"block\d+[a-z]|top"
UNSCALED = (("include_preprocessing", False),)  # all of it is done here, in float32
FAMILIES = {
    "convnext": Family(
        "2201.03545", "torch", r"(stage_\d+|downsampling)_block_\d+", options=UNSCALED
    ),
    "densenet": Family("1608.06993", "torch", rf"{RESIDUAL}|pool\d+"),
    "efficientnet": Family("1905.11946", "torch255", MBCONV),
    "efficientnet_v2": Family("2104.00298", "tf128", MBCONV, options=UNSCALED),
    "efficientnet_v2_b": Family("2104.00298", "torch", MBCONV, options=UNSCALED),
    "inception_resnet_v2": Family(
        "1602.07261", "tf", r"mixed_\d[ab]|block\d+_\d+|conv_7b", smallest=75, stem_end=18
    ),
    "inception_v3": Family("1512.00567", "tf", r"mixed\d+$", smallest=75, stem_end=18),
    "mobilenet": Family(
        "1704.04861", "tf", r"conv_[dp]w_(\d+)", r"block_\1", sizes=(128, 160, 192, 224)
    ),
    "mobilenet_v2": Family(
        "1801.04381", "tf", r"expanded_conv|block_\d+|Conv_1", sizes=(96, 128, 160, 192, 224)
    ),
    "mobilenet_v3": Family("1905.02244", "tf", r"expanded_conv(_\d+)?|conv_1", options=UNSCALED),
    "nasnet": Family("1707.07012", "tf", r"_(stem_\d|reduce_\d+|\d+)$", r"cell_\1"),
    "resnet": Family("1512.03385", "caffe", RESIDUAL),
    "resnet_v2": Family("1603.05027", "tf", RESIDUAL),
    "vgg": Family("1409.1556", "caffe", r"block\d+"),
    "xception": Family("1610.02357", "tf", r"block\d+", smallest=71),
}


@dataclass(frozen=True)
class Application:
    """A line of the table: every field as it stands there."""

    name: str
    constructor: str
    family: str
    parameters: str
    weights: str
    md5: str
    sha256: str


class PretrainedParams(Params):
    """A pretrained backbone under a new classifier."""

    weights: str = Field(
        "imagenet",
        description='"imagenet", "none" for random ones, or the path of a file of the '
        "backbone's weights: .h5, .weights.h5 or .keras",
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Fraction of the features dropped before the classifier"
    )


def applications() -> list[Application]:
    """Returns the table."""
    text = (files(__package__) / "applications.csv").read_text(encoding="utf-8")
    return [Application(**row) for row in csv.DictReader(text.splitlines())]


def components() -> list[Component]:
    """Returns one component for each line of the table."""
    return [
        Component(
            application.name,
            partial(build, application),
            PretrainedParams,
            f"{application.constructor}: {int(application.parameters) / 1e6:.1f} M parameters, "
            f"arXiv {FAMILIES[application.family].paper}",
        )
        for application in applications()
    ]


def build(
    application: Application, params: PretrainedParams, *, image_size: int, num_classes: int
) -> Network:
    """Builds a network of `keras.applications` with its preprocessing and a new classifier.

    Args:
        application: Which one.
        params: See `PretrainedParams`.
        image_size: Side of the pictures, in pixels.
        num_classes: Number of classes K, at least 2.

    Returns:
        Network: float32 [B, S, S, 3] in 0-255 to probabilities float32 [B, K], one flat graph. Its
        blocks are the paper's units, with the stem first; a last convolution is a block of its
        own, a last normalization belongs to the last unit.

    Raises:
        InputError: The pictures are too small, or the weights are not to be had or do not fit.
    """
    import keras

    path = _weights_file(application, params.weights, image_size)
    pictures = keras.Input((image_size, image_size, 3), name="pictures")
    backbone = _backbone(application, pictures, image_size)
    layers_of_blocks = blocks(backbone, FAMILIES[application.family])
    if path:
        _load(backbone, path, application.name)
    probabilities = classifier_head(backbone.output, num_classes, dropout=params.dropout)
    model = keras.Model(pictures, probabilities, name=application.name)
    return Network(model, layers_of_blocks)


def preprocess(pictures: Any, rescaling: str) -> Any:
    """Rescales pictures, float32 [B, H, W, 3] in 0-255, as the pretrained weights expect it."""
    from keras import layers, ops

    if rescaling == "caffe":
        pictures = ops.flip(pictures, axis=-1)  # RGB to BGR
    # float32 also under mixed precision, which would round the pixels before they are centred
    return layers.Rescaling(*RESCALING[rescaling], dtype="float32", name="preprocess")(pictures)


def blocks(backbone: Any, family: Family) -> dict[str, list[str]]:
    """Groups the names of the layers that have weights by block, from the input on.

    A layer that Keras only numbers (`conv2d_17`) is renamed after its block and place, so that
    its name does not depend on what was built before.
    """
    grouped: dict[str, list[str]] = {}
    block_of = _blocks([layer.name for layer in backbone.operations], family)
    for place, layer in enumerate(backbone.operations):
        block = block_of[place]
        kind = re.sub(r"_\d+$", "", layer.name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            layer.name = f"{block}_{kind}_{place}"
        if getattr(layer, "weights", None):
            grouped.setdefault(block, []).append(layer.name)
    return grouped


def _blocks(names: list[str], family: Family) -> list[str]:
    """Reads each layer's block in its name; where it tells none, the layer joins the one before.

    Where only a module's last layer is named, it joins the one after.
    """
    matches = [re.search(family.unit, name) for name in names]
    told = [match.expand(family.block) if match else "" for match in matches]
    if family.stem_end is None:
        return list(accumulate(["stem", *told], _latest))[1:]
    told[family.stem_end] = "stem"
    return list(accumulate(reversed(told), _latest))[::-1]


def _latest(block: str, told: str) -> str:
    return told or block


def _backbone(application: Application, pictures: Any, image_size: int) -> Any:
    import keras

    family = FAMILIES[application.family]
    if image_size < family.smallest:
        raise InputError(
            f"{application.name}: image_size = {image_size} is too small; it takes pictures of "
            f"{family.smallest} pixels or more."
        )
    try:
        return getattr(keras.applications, application.constructor)(
            include_top=False,
            weights=None,
            input_tensor=preprocess(pictures, family.rescaling),
            input_shape=(image_size, image_size, 3),
            **dict(family.options),
        )
    except ValueError as error:
        raise InputError(
            f"{application.name}: Keras cannot build it on {keras.backend.backend()}: {error}"
        ) from error


def _weights_file(application: Application, weights: str, image_size: int) -> Path | None:
    from kerascnn import fetch

    if weights == "none":
        return None
    if weights == "imagenet":
        size = image_size if image_size in FAMILIES[application.family].sizes else 224
        url = PUBLISHER + application.weights.format(size=size)
        return fetch(url, md5=application.md5 or None, sha256=application.sha256 or None)
    path = Path(weights).expanduser()
    if path.suffix not in (".h5", ".keras"):
        raise InputError(
            f'weights = "{weights}": expected "imagenet", "none", or a file of weights that ends '
            "in .h5, .weights.h5 or .keras."
        )
    if not path.is_file():
        raise InputError(f'weights = "{weights}": there is no such file, seen from {Path.cwd()}.')
    return path


def _load(backbone: Any, path: Path, name: str) -> None:
    from keras import layers

    # EfficientNet's own Normalization stays the identity: its published file holds the deviation
    # where the layer wants the variance (tensorflow#49930), and `preprocess` has normalized.
    own = [layer for layer in backbone.layers if isinstance(layer, layers.Normalization)]
    identities = [layer.get_weights() for layer in own]
    try:
        with warnings.catch_warnings(action="ignore"):  # a hundred of them before each error
            backbone.load_weights(path)
    except (ValueError, KeyError, OSError, BadZipFile) as error:
        reason = str(error).partition("\n\nList of objects")[0].replace("\n\n", " ")
        raise InputError(
            f'weights file "{path}" does not fit {name}: expected the weights of its '
            f"layers in their order, without a classifier. Keras says: {reason}"
        ) from error
    for layer, identity in zip(own, identities, strict=True):
        layer.set_weights(identity)
        layer.finalize_state()
