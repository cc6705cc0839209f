"""The random draws of the built-in augmentations for a batch."""

import numpy as np

from kerascnn.components.builtin.strengths import Strengths

Array = np.ndarray

# NTSC's YIQ of 1953: luma, and the plane of colour; applied as pixel @ matrix.
RGB_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
).T
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)


def draw_geometry(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Composes flip, crop, zoom, shear, rotation and shift into one affine map per image.

    Returns:
        float32 [B, 2, 2, S]: for x and y, the offset of each output column and each output row
        in the source, in pixels.
    """
    s = strengths
    flip = 1 - 2 * (rng.random((count, 2)) < (s.horizontal_flip, s.vertical_flip))  # x, y
    # random resized crop: Szegedy et al., arXiv 1409.4842, section 6
    area = rng.uniform(1 - s.crop, 1, count)
    aspect = (1 + s.stretch) ** rng.uniform(-1, 1, count)
    crop = np.minimum(np.sqrt(np.stack([area * aspect, area / aspect], axis=1)), 1)
    zoom = rng.uniform(1 - s.zoom, 1 + s.zoom, (count, 1))
    angle = np.radians(s.rotation_degrees) * rng.uniform(-1, 1, count)
    slant = np.radians(s.shear_degrees) * rng.uniform(-1, 1, count)
    shift = ((1 - crop) / 2 + s.shift) * rng.uniform(-1, 1, (count, 2))

    cosine, sine, one, zero = np.cos(angle), np.sin(angle), np.ones(count), np.zeros(count)
    rotation = _matrices([[cosine, -sine], [sine, cosine]])
    shear = _matrices([[one, np.tan(slant)], [zero, one]])
    linear = rotation @ shear * (flip * crop / zoom)[:, None, :]  # [B, 2, 2]

    grid = np.arange(size) + 0.5 - size / 2  # pixel centres, relative to the image's centre
    columns = linear[:, :, 0, None] * grid
    rows = linear[:, :, 1, None] * grid + size * (0.5 + shift[:, :, None])
    return np.stack([columns, rows], axis=2)  # [B, 2, 2, S]


def draw_colour(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Composes brightness, contrast, saturation and hue into one linear map per image.

    Returns:
        float32 [B, 2, 3, 3]: the matrices of the pixels and of the image's mean colour.
    """
    s = strengths
    brightness = rng.uniform(1 - s.brightness, 1 + s.brightness, count)
    contrast = rng.uniform(1 - s.contrast, 1 + s.contrast, count)
    saturation = rng.uniform(1 - s.saturation, 1 + s.saturation, count)
    hue = np.radians(s.hue_degrees) * rng.uniform(-1, 1, count)
    # in YIQ, saturation scales the plane of I and Q and hue rotates it; grey does not change
    one, zero = np.ones(count), np.zeros(count)
    cosine, sine = saturation * np.cos(hue), saturation * np.sin(hue)
    chroma = _matrices([[one, zero, zero], [zero, cosine, sine], [zero, -sine, cosine]])
    pixel = (contrast * brightness)[:, None, None] * (RGB_TO_YIQ @ chroma @ YIQ_TO_RGB)
    mean = ((1 - contrast) * brightness)[:, None, None] * (RGB_TO_YIQ[:, :1] @ YIQ_TO_RGB[:1])
    return np.stack([pixel, mean], axis=1)  # [B, 2, 3, 3]


def draw_erasing(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Draws a box to erase in each image, and a grey (Zhong et al., arXiv 1708.04896).

    Returns:
        float32 [B, 6]: top, left, bottom, right in pixels; opacity, 0 to erase nothing;
        grey, 0 to 255.
    """
    area = rng.uniform(0.02, strengths.erasing_area, count)
    aspect = np.exp(rng.uniform(np.log(0.3), -np.log(0.3), count))
    sides = np.minimum(np.sqrt(np.stack([area * aspect, area / aspect], axis=1)), 1)
    centre = 0.5 + (1 - sides) * rng.uniform(-0.5, 0.5, (count, 2))
    boxes = boxes_in(centre, sides, rng.random(count) < strengths.erasing, size)
    return np.hstack([boxes, rng.uniform(0, 255, (count, 1))])  # [B, 6]


def _matrices(rows: list[list[Array]]) -> Array:
    """Stacks matrices of [B] vectors into [B, rows, columns]."""
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def boxes_in(centre: Array, sides: Array, opacity: Array, size: int) -> Array:
    """Boxes float [B, 5]: top, left, bottom, right in whole pixels of an image; opacity."""
    first, last = (
        np.clip(np.round(size * (centre + half * sides)), 0, size) for half in (-0.5, 0.5)
    )
    return np.column_stack([first, last, opacity])  # [B, 5]


DRAWS = {
    "colour": draw_colour,
    "geometry": draw_geometry,
    "erasing": draw_erasing,
}
