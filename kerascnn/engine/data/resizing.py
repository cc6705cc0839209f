"""Images made square."""

from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from kerascnn.engine.data.images import Pixels
from kerascnn.errors import InputError

Resizing = Literal["crop", "pad", "stretch"]

# As in the preprocessing of most networks; Pillow's resize always antialiases.
FILTER = Image.Resampling.BICUBIC

# ImageNet's mean: normalization maps it to zero, the padding of convolutions.
PADDING = (124, 116, 104)


def resize_image(image: Pixels | Image.Image, size: int, how: Resizing = "crop") -> Pixels:
    """Resizes an image to a square, antialiased.

    Args:
        image: uint8 [H, W, 3], or an RGB Pillow image.
        size: Side of the square, in pixels, at least 1.
        how: "crop" scales the shorter side to `size` and keeps the middle, "pad" scales the
            longer side to `size` and fills the rest with ImageNet's mean colour, "stretch" changes
            the aspect ratio.

    Returns:
        uint8 [size, size, 3].
    """
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    square = (size, size)
    if how == "crop":
        drawn = ImageOps.fit(drawn, square, FILTER)
    elif how == "pad":
        drawn = ImageOps.pad(drawn, square, FILTER, color=PADDING)
    elif how == "stretch":
        drawn = drawn.resize(square, FILTER)
    else:
        raise InputError(f'resize = "{how}": expected "crop", "pad" or "stretch".')
    return np.array(drawn)  # [size, size, 3]
