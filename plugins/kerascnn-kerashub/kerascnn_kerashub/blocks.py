"""The blocks of KerasHub's backbones, and their layers one by one."""

import re
from collections.abc import Callable
from typing import Any

# How the names of a block's layers begin: stack0_block1, block2b, stage_0; transformer_block_1
# (ViT, DeiT), layers_0 (DINO), encoder_block_0 (SigLIP, CLIP), stage_0_blocks_1 (Swin), and so on.
# "top" is the last convolution of EfficientNet.
UNIT = re.compile(
    r"stack\d+_block\d+|block_?\d+[a-z]?|transition\d+|stage_\d+(_blocks_\d+|(?!_down))|top"
    r"|transformer_block_\d+|layers_\d+|encoder_(block|stage)_\d+|hierarchical_encoder_\d+_\d+"
)


def blocks_of(layers: list[Any], prefix: str) -> dict[str, list[str]]:
    """Groups layers by the beginnings of their names; others join the block before them.

    Some backbones put `prefix`, their own name, before the names of their layers.
    """
    blocks: dict[str, list[str]] = {}
    block = "stem"
    for layer in layers:
        if match := UNIT.match(layer.name.removeprefix(prefix)):
            block = match[0]
        blocks.setdefault(block, []).append(layer.name)
    return blocks


def in_single_blocks(backbone: Any) -> Any:
    """The backbone's graph, with the blocks of a transformer's encoder as layers of their own.

    KerasHub keeps all blocks in one layer, whose `call` runs one after the other.
    """
    import keras

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        run = _ENCODERS.get(type(layer).__name__, _as_one)
        return run(backbone, layer, *args, **kwargs)

    if not any(type(layer).__name__ in _ENCODERS for layer in backbone.layers):
        return backbone
    return keras.models.clone_model(
        backbone, clone_function=lambda layer: layer, call_function=call
    )


def _as_one(backbone: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
    return layer(*args, **kwargs)


def _in_turn(backbone: Any, encoder: Any, *args: Any, **kwargs: Any) -> Any:
    return encoder.call(*args, **kwargs)


def _with_scores(backbone: Any, encoder: Any, tokens: Any) -> Any:
    """A block without the scores of its attention returns None beside its tokens."""
    return encoder.call(tokens, return_attention_scores=True)


def _with_positions(
    backbone: Any,
    encoder: Any,
    tokens: Any,
    position_embeddings: Any,
    num_prefix_tokens: int,
    **kwargs: Any,
) -> Any:
    """Gives each block its own rotary positions: see BlankImage."""
    from kerascnn_kerashub.layers import BlankImage

    blank = BlankImage(backbone.image_shape[0], name="blank_image")
    stages = {}
    for number, block in enumerate(encoder.layers, start=1):
        positions = backbone.rope_embedding(blank(tokens))
        tokens = block(
            tokens, position_embeddings=positions, num_prefix_tokens=num_prefix_tokens, **kwargs
        )
        stages[f"stage{number}"] = tokens
    return tokens, stages


def _named_by_stage(backbone: Any, stage: Any, tokens: Any) -> Any:
    """The blocks of all stages have the same names."""
    for block in (*stage.blocks, stage.downsample):
        if block is not None:
            block.name = f"{stage.name}_{block.name}"
    return stage.call(tokens)


_ENCODERS: dict[str, Callable[..., Any]] = {
    "ViTEncoder": _in_turn,
    "DINOV2Encoder": _in_turn,
    "HGNetV2Encoder": _in_turn,
    "DeiTEncoder": _with_scores,
    "DINOV3Encoder": _with_positions,
    "SwinTransformerStage": _named_by_stage,
}
