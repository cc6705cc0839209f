"""The layers of an EfficientNet-Lite network, without a classifier."""

import math
from typing import Any

from .variants import Variant

# Repeats, kernel size, stride, expansion, filters of the stages: arXiv 1905.11946, table 1.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_FILTERS, TOP_FILTERS = 32, 1280
DIVISOR = 8  # of the number of filters


def backbone(images: Any, variant: Variant) -> Any:
    """Applies stem, blocks and top to float32 [B, S, S, 3]: float32 [B, S/32, S/32, 1280]."""
    from keras import layers

    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="stem_rescaling")(images)
    x = layers.Conv2D(STEM_FILTERS, 3, 2, padding="same", use_bias=False, name="stem_conv")(x)
    x = normalize(x, "stem")  # [B, S/2, S/2, 32]
    number = 0
    for stage, (repeats, kernel_size, stride, expansion, filters) in enumerate(STAGES):
        width = scaled_filters(filters, variant.width)
        for repeat in range(scaled_repeats(repeats, stage, variant.depth)):
            number += 1
            strides = 1 if repeat else stride
            x = inverted_residual(x, f"block{number}", kernel_size, strides, expansion, width)
    x = layers.Conv2D(TOP_FILTERS, 1, use_bias=False, name="top_conv")(x)
    return normalize(x, "top")


def scaled_filters(filters: int, width: float) -> int:
    """The nearest multiple of 8, but not less than nine tenths."""
    wanted = filters * width
    nearest = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return nearest if nearest >= 0.9 * wanted else nearest + DIVISOR


def scaled_repeats(repeats: int, stage: int, depth: float) -> int:
    return repeats if stage in (0, len(STAGES) - 1) else math.ceil(repeats * depth)


def inverted_residual(
    x: Any, block: str, kernel_size: int, strides: int, expansion: int, filters: int
) -> Any:
    """Expands, filters each channel, projects (Sandler et al., MobileNetV2, arXiv 1801.04381)."""
    from keras import layers

    shortcut, channels = x, x.shape[-1]
    if expansion > 1:
        name = f"{block}_expand"
        x = layers.Conv2D(channels * expansion, 1, use_bias=False, name=name)(x)
        x = normalize(x, name)
    name = f"{block}_depthwise"
    x = layers.DepthwiseConv2D(kernel_size, strides, padding="same", use_bias=False, name=name)(x)
    x = normalize(x, name)
    name = f"{block}_project"
    x = layers.Conv2D(filters, 1, use_bias=False, name=name)(x)
    x = normalize(x, name, activate=False)
    if strides == 1 and filters == channels:
        x = layers.Add(name=f"{block}_add")([x, shortcut])
    return x


def normalize(x: Any, name: str, *, activate: bool = True) -> Any:
    from keras import layers

    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6, name=f"{name}_relu6")(x) if activate else x
