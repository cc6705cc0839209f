"""The image networks of KerasHub for kerascnn, from a preset folder or a download."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kerascnn import (
    Component,
    InputError,
    Network,
    Params,
    Weights,
    classifier_head,
    flatten_model,
    hookimpl,
    pip_install,
)

# How the names of a block's layers begin in KerasHub's backbones: stack0_block1, block2b, stage_0;
# "encoder" is all of HGNetV2 after its stem, "top" the last convolution of EfficientNet.
UNIT = re.compile(r"stack\d+_block\d+|block_?\d+[a-z]?|transition\d+|stage_\d+|encoder|top")


class PresetParams(Params):
    """A backbone of KerasHub under a new classifier."""

    preset: str = Field(
        description="A folder written by `save_to_preset`, or a preset that KerasHub downloads: a "
        "name such as resnet_50_imagenet, or a handle with kaggle:// or hf://."
    )
    weights: Literal["preset", "none"] = Field(
        "preset", description='"preset" (those of the preset) or "none" (random).'
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Fraction of the features dropped before the classifier."
    )


@hookimpl
def kerascnn_architectures() -> list[Component]:
    summary = "convolutional networks of KerasHub presets: ResNet, EfficientNet, CSPNet and others"
    return [Component("kerashub", build, PresetParams, summary, weights=weights)]


def weights(params: PresetParams, *, image_size: int) -> Weights | None:
    """The preset's; only its publisher's page has the licence."""
    if params.weights == "none":
        return None
    return Weights(params.preset, at_hand=Path(params.preset).expanduser().is_dir())


def build(params: PresetParams, *, image_size: int, num_classes: int) -> Network:
    """Builds a preset's backbone with its rescaling and a new classifier, as one flat graph.

    Args:
        params: The preset, its weights and the head's dropout.
        image_size: Height and width S of the images, pixels.
        num_classes: Number of classes K, at least 2.

    Returns:
        Network: float32 [B, S, S, 3] in 0-255 to probabilities float32 [B, K]. Its blocks are
        KerasHub's; everything before the first is the stem.

    Raises:
        InputError: KerasHub or the preset is missing, the network cannot be saved and loaded, or
            it does not accept images of this size.
    """
    import keras

    backbone, converter = _load(params)
    images = keras.Input((image_size, image_size, 3), name="images")
    features = _features(backbone, _rescaled(images, converter))
    outputs = classifier_head(features, num_classes, dropout=params.dropout)
    model = keras.Model(images, outputs, name="kerashub")
    return Network(model, _blocks(backbone))


def _load(params: PresetParams) -> tuple[Any, Any]:
    """The preset's backbone and image converter, which has the scale and offset of pixels."""
    try:
        import keras_hub
    except ImportError as error:
        raise InputError(
            f"cannot import KerasHub ({error}); install it with `{pip_install('keras-hub')}`."
        ) from error
    try:
        backbone = keras_hub.models.Backbone.from_preset(
            params.preset, load_weights=params.weights == "preset"
        )
        converter = keras_hub.layers.ImageConverter.from_preset(params.preset)
    except Exception as error:  # ValueError, OSError, and those of three downloaders
        reason = str(error).partition("\n")[0]
        raise InputError(
            f'preset = "{params.preset}": expected a folder written by save_to_preset with its '
            f"preprocessor, or a preset that KerasHub can download. KerasHub reports: {reason}"
        ) from error
    return backbone, converter


def _rescaled(images: Any, converter: Any) -> Any:
    """Rescales as the converter does; kerascnn has resized before."""
    from keras import layers

    def or_else(value: Any, default: float) -> Any:
        return default if value is None else value

    scale, offset = or_else(converter.scale, 1.0), or_else(converter.offset, 0.0)
    # float32 even under mixed precision, which would round the pixels before they are centred
    return layers.Rescaling(scale, offset, dtype="float32", name="stem_rescaling")(images)


def _features(backbone: Any, rescaled: Any) -> Any:
    """Puts a copy of the backbone on the rescaled images: [B, H, W, C]."""
    size, kind = rescaled.shape[1], type(backbone).__name__
    try:
        maps = flatten_model(backbone, rescaled)
    except InputError as error:
        raise InputError(
            f"{error} In KerasHub 0.32 this concerns ViT, DeiT, Swin and MiT: choose the "
            "preset of a convolutional network."
        ) from error
    except ValueError as error:
        raise InputError(
            f"kerashub: {kind} does not accept image_size = {size}; use larger images. Keras "
            f"reports: {error}"
        ) from error
    return list(maps.values())[-1] if isinstance(maps, dict) else maps  # HGNetV2: one per stage


def _blocks(backbone: Any) -> dict[str, list[str]]:
    """Groups layers by the beginnings of their names; others join the block before them."""
    blocks: dict[str, list[str]] = {}
    block = "stem"
    for layer in backbone.layers:
        if match := UNIT.match(layer.name):
            block = match[0]
        blocks.setdefault(block, []).append(layer.name)
    return blocks
