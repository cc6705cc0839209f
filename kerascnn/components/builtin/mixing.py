"""MixUp and CutMix, of images and of activations: another example blended into a box.

The box is everywhere and faint (MixUp, Zhang et al., arXiv 1710.09412), or full and in a part
(CutMix, Yun et al., arXiv 1905.04899). It is drawn relative to the image, so that it has a place in
any feature map.
"""

from typing import Any

import numpy as np
from keras import ops

from kerascnn.components.builtin.image_operations import Batch, fused, lay_over
from kerascnn.components.builtin.random_draws import Array, boxes_in
from kerascnn.components.builtin.strengths import Strengths


def draw(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Draws the box of an image of `size` pixels in which another example is blended in.

    Returns:
        float32 [B, 5]: top, left, bottom, right as shares of the side; opacity.
    """
    mixup, cutmix = strengths.mixup, strengths.cutmix
    cut = rng.random(count) < (cutmix > 0) / ((cutmix > 0) + (mixup > 0))
    alpha = np.where(cut, cutmix, mixup)
    other = rng.beta(alpha, alpha)  # share of the other example
    side = np.where(cut, np.sqrt(other), 2)  # 2: the whole image from any centre
    sides = side[:, None].repeat(2, axis=1)
    boxes = boxes_in(rng.random((count, 2)), sides, np.where(cut, 1, other), size)
    return (boxes / [size, size, size, size, 1]).astype(np.float32)  # [B, 5]


@fused
def mix(batch: Batch, boxes: Any) -> Batch:
    """Blends the previous example of the batch into a box in each, and mixes labels by area.

    In images and maps [B, h, w, C] the box is rounded to whole pixels or cells, and the area is
    theirs. Tokens [B, T, C] and features [B, C] have no places: they are blended by the box's area.
    """
    inputs, labels = batch["inputs"], batch["labels"]
    others, opacity = ops.roll(inputs, 1, axis=0), boxes[:, 4]
    if len(inputs.shape) == 4:
        _, height, width, _ = ops.shape(inputs)
        sides = ops.convert_to_tensor([height, width, height, width], "float32")
        top, left, bottom, right = ops.unstack(ops.round(boxes[:, :4] * sides), axis=1)
        share = opacity * (bottom - top) * (right - left) / (height * width)  # [B]
        cells = ops.stack([top, left, bottom, right, opacity], axis=1)
        mixed = lay_over(inputs, others, cells)
    else:
        top, left, bottom, right = ops.unstack(boxes[:, :4], axis=1)
        share = opacity * (bottom - top) * (right - left)
        shares = ops.reshape(share, (-1,) + (1,) * (len(inputs.shape) - 1))
        mixed = inputs + shares * (others - inputs)
    return {"inputs": mixed, "labels": labels + share[:, None] * (ops.roll(labels, 1, 0) - labels)}
