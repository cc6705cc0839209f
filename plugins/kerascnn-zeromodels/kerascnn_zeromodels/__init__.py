"""The image networks of zeromodels for kerascnn, from a folder or a download."""

import json
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
)

# How the names of a block's layers begin: blocks_3 (ViT, DINO), blocks_3_5 (MobileNetV4),
# stages_1_blocks_0 (ConvNeXt), layers_0_blocks_1 (Swin), vision_model_encoder_layers_2 (SigLIP).
_PART = r"(?:stages?|layers?|blocks?|stack|group)_?\d+(?:_\d+)*"
UNIT = re.compile(rf"(?:[a-z]+_)*?{_PART}(?:_{_PART})*(?=_)")


class ModelParams(Params):
    """A backbone of zeromodels under a new classifier."""

    model: str = Field(
        description="A folder with zm_config.json and model.weights.h5, or a repository of such "
        "files that zeromodels downloads, as organisation/name."
    )
    weights: Literal["model", "none"] = Field(
        "model", description='"model" (those of the model) or "none" (random).'
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Fraction of the features dropped before the classifier."
    )


@hookimpl
def kerascnn_architectures() -> list[Component]:
    summary = "networks of zeromodels: DINOv2 and v3, ConvNeXtV2, MobileNetV4, SigLIP2 and others"
    return [Component("zeromodels", build, ModelParams, summary, weights=weights)]


def weights(params: ModelParams, *, image_size: int) -> Weights | None:
    """The model's; a folder from a model hub states its licence."""
    if params.weights == "none":
        return None
    file = Path(params.model).expanduser() / "zm_config.json"
    config = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    own = {**config.get("vision_config", {}), **config}.get("image_size")
    return Weights.of_model(params.model, own if isinstance(own, int) else None)


def build(params: ModelParams, *, image_size: int, num_classes: int) -> Network:
    """Builds a model's backbone with its rescaling and a new classifier, as one flat graph.

    Args:
        params: The model, its weights and the head's dropout.
        image_size: Height and width S of the images, pixels.
        num_classes: Number of classes K, at least 2.

    Returns:
        Network: float32 [B, S, S, 3] in 0-255 to probabilities float32 [B, K]. Its blocks are
        zeromodels's; everything before the first is the stem.

    Raises:
        InputError: zeromodels or the model is missing, it is not an image network, or it does not
            accept images of this size.
    """
    import keras

    from kerascnn_zeromodels.loading import load

    backbone, scale, offset = load(params.model, image_size, params.weights == "model")
    images = keras.Input((image_size, image_size, 3), name="images")
    # float32 even under mixed precision, which would round the pixels before they are centred
    rescaling = keras.layers.Rescaling(scale, offset, dtype="float32", name="stem_rescaling")
    outputs = classifier_head(
        _features(backbone, flatten_model(backbone, rescaling(images))),
        num_classes,
        dropout=params.dropout,
        class_token=any("cls" in layer.name for layer in backbone.layers),
    )
    model = keras.Model(images, outputs, name="zeromodels")
    return Network(model, _blocks(model))


def _features(backbone: Any, outputs: Any) -> Any:
    """Feature maps [B, H, W, C], tokens [B, N, C] or features [B, C]."""
    if not isinstance(outputs, dict):
        return outputs
    if "pooler_output" not in outputs:
        raise InputError(
            f"zeromodels: {type(backbone).__name__} is not a network for images alone; it "
            f"returns {', '.join(outputs)}."
        )
    return outputs["pooler_output"]


def _blocks(model: Any) -> dict[str, list[str]]:
    """Groups layers by the beginnings of their names; others join the block before them."""
    blocks: dict[str, list[str]] = {}
    block = "stem"
    for layer in model.layers:
        if match := UNIT.match(layer.name):
            block = match[0]
        blocks.setdefault(block, []).append(layer.name)
    return blocks
