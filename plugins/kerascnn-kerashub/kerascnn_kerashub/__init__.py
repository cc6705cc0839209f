"""The image networks of KerasHub for kerascnn, from a preset folder or a download."""

import json
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
    summary = "networks of KerasHub presets: ResNet, EfficientNet, ViT, Swin, DINOv2 and others"
    return [Component("kerashub", build, PresetParams, summary, weights=weights)]


def weights(params: PresetParams, *, image_size: int) -> Weights | None:
    """The preset's; a folder from a model hub states its licence, one of `save_to_preset` none."""
    if params.weights == "none":
        return None
    return Weights.of_model(params.preset, _own_size(Path(params.preset).expanduser()))


def _own_size(folder: Path) -> int | None:
    """The size of the images that the preset in a folder is for, if it is for one alone."""
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))["config"] if file.is_file() else {}
    config = config.get("vision_encoder", {}).get("config", config)
    return (config.get("image_shape") or [None])[0]


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

    from kerascnn_kerashub.blocks import blocks_of
    from kerascnn_kerashub.sizes import for_size

    backbone, converter = _load(params)
    backbone = for_size(backbone, image_size)
    images = keras.Input((image_size, image_size, 3), name="images")
    outputs = classifier_head(
        _features(backbone, _rescaled(images, converter)),
        num_classes,
        dropout=params.dropout,
        class_token=getattr(backbone, "use_class_token", not hasattr(backbone, "window_size")),
    )
    model = keras.Model(images, outputs, name="kerashub")
    return Network(model, blocks_of(model.layers, f"{backbone.name}_"))


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
    # of networks for images and texts, such as SigLIP and CLIP, that for images
    return getattr(backbone, "vision_encoder", backbone), converter


def _rescaled(images: Any, converter: Any) -> Any:
    """Rescales as the converter does; kerascnn has resized before."""
    from keras import layers

    def or_else(value: Any, default: float) -> Any:
        return default if value is None else value

    scale, offset = or_else(converter.scale, 1.0), or_else(converter.offset, 0.0)
    # float32 even under mixed precision, which would round the pixels before they are centred
    return layers.Rescaling(scale, offset, dtype="float32", name="stem_rescaling")(images)


def _features(backbone: Any, rescaled: Any) -> Any:
    """Puts a copy of the backbone on the rescaled images: [B, H, W, C], [B, N, C] or [B, C]."""
    from kerascnn_kerashub.blocks import in_single_blocks

    graph = in_single_blocks(backbone)
    named = isinstance(graph.input, dict)
    try:
        features = flatten_model(
            graph, dict.fromkeys(graph.input, rescaled) if named else rescaled, owner=backbone
        )
    except ValueError as error:
        raise InputError(
            f"kerashub: {type(backbone).__name__} does not accept image_size = "
            f"{rescaled.shape[1]}; use larger images. Keras reports: {error}"
        ) from error
    if isinstance(features, dict):  # HGNetV2: one for each stage
        features = list(features.values())[-1]
    return features
