"""The augmentations none, light, standard and strong: one set of strengths, four sets of defaults.

All that is random is drawn here, in NumPy; `image_operations` applies it.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import Field, create_model

from kerascnn import Augmentation, Component, Params, hookimpl

Array = np.ndarray

# The television standard of 1953: luma, and the plane of colour; applied as pixel @ matrix.
RGB_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
).T
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)


def _up_to(largest: float, description: str) -> Any:
    return Field(ge=0, le=largest, description=description)


class Strengths(Params):
    """How strongly each operation acts; 0 turns it off."""

    horizontal_flip: Annotated[float, _up_to(1, "Probability of a flip left to right.")] = 0.0
    vertical_flip: Annotated[float, _up_to(1, "Probability of a flip upside down.")] = 0.0
    rotation_degrees: Annotated[float, _up_to(180, "Largest turn to either side.")] = 0.0
    shear_degrees: Annotated[float, _up_to(45, "Largest slant to either side.")] = 0.0
    zoom: Annotated[float, _up_to(0.5, "Scale from 1 - zoom to 1 + zoom.")] = 0.0
    shift: Annotated[float, _up_to(0.5, "Largest shift along each axis, in picture sides.")] = 0.0
    crop: Annotated[float, _up_to(0.95, "Largest part of the area to cut away.")] = 0.0
    stretch: Annotated[
        float, _up_to(1, "Aspect ratio of the crop from 1 / (1 + stretch) to 1 + stretch.")
    ] = 0.0
    brightness: Annotated[float, _up_to(1, "Factor from 1 - brightness to 1 + brightness.")] = 0.0
    contrast: Annotated[
        float, _up_to(1, "Factor from 1 - contrast to 1 + contrast, about the mean grey.")
    ] = 0.0
    saturation: Annotated[float, _up_to(1, "Factor from 1 - saturation to 1 + saturation.")] = 0.0
    hue_degrees: Annotated[float, _up_to(180, "Largest turn of the hue to either side.")] = 0.0
    erasing: Annotated[float, _up_to(1, "Probability that a box takes a random grey.")] = 0.0
    erasing_area: Annotated[
        float,
        Field(ge=0.02, le=1, description="Largest part of the area to erase; the least is 0.02."),
    ] = 1 / 3
    mixup: Annotated[float, _up_to(10, "MixUp's alpha: 0.2 is usual.")] = 0.0
    cutmix: Annotated[
        float, _up_to(10, "CutMix's alpha: 1 is usual; beside MixUp each gets half the pictures.")
    ] = 0.0


def draw_geometry(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Composes flip, crop, zoom, shear, rotation and shift into one affine map of each picture.

    Returns:
        float32 [B, 2, 2, S]: for x and y, what each output column and each output row add to
        the place in the source, in pixels.
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

    grid = np.arange(size) + 0.5 - size / 2  # pixel centres, from the picture's own
    columns = linear[:, :, 0, None] * grid
    rows = linear[:, :, 1, None] * grid + size * (0.5 + shift[:, :, None])
    return np.stack([columns, rows], axis=2)  # [B, 2, 2, S]


def draw_colour(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Composes brightness, contrast, saturation and hue into one linear map of each picture.

    Returns:
        float32 [B, 2, 3, 3]: what the pixel, and what the picture's mean colour is multiplied by.
    """
    s = strengths
    brightness = rng.uniform(1 - s.brightness, 1 + s.brightness, count)
    contrast = rng.uniform(1 - s.contrast, 1 + s.contrast, count)
    saturation = rng.uniform(1 - s.saturation, 1 + s.saturation, count)
    hue = np.radians(s.hue_degrees) * rng.uniform(-1, 1, count)
    # in YIQ, saturation scales the plane of I and Q and hue turns it; grey stays where it is
    one, zero = np.ones(count), np.zeros(count)
    cosine, sine = saturation * np.cos(hue), saturation * np.sin(hue)
    chroma = _matrices([[one, zero, zero], [zero, cosine, sine], [zero, -sine, cosine]])
    pixel = (contrast * brightness)[:, None, None] * (RGB_TO_YIQ @ chroma @ YIQ_TO_RGB)
    mean = ((1 - contrast) * brightness)[:, None, None] * (RGB_TO_YIQ[:, :1] @ YIQ_TO_RGB[:1])
    return np.stack([pixel, mean], axis=1)  # [B, 2, 3, 3]


def draw_erasing(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Draws a box of each picture to erase, and a grey (Zhong et al., arXiv 1708.04896).

    Returns:
        float32 [B, 6]: top, left, bottom, right in pixels; opacity, 0 where nothing is erased;
        grey, 0 to 255.
    """
    area = rng.uniform(0.02, strengths.erasing_area, count)
    aspect = np.exp(rng.uniform(np.log(0.3), -np.log(0.3), count))
    sides = np.minimum(np.sqrt(np.stack([area * aspect, area / aspect], axis=1)), 1)
    centre = 0.5 + (1 - sides) * rng.uniform(-0.5, 0.5, (count, 2))
    boxes = _boxes(centre, sides, rng.random(count) < strengths.erasing, size)
    return np.hstack([boxes, rng.uniform(0, 255, (count, 1))])  # [B, 6]


def draw_mixing(strengths: Strengths, rng: np.random.Generator, count: int, size: int) -> Array:
    """Draws the box through which another picture shows: all of it faintly (MixUp, Zhang et al.,
    arXiv 1710.09412) or a part of it fully (CutMix, Yun et al., arXiv 1905.04899).

    Returns:
        float32 [B, 5]: top, left, bottom, right in pixels; opacity.
    """
    mixup, cutmix = strengths.mixup, strengths.cutmix
    cut = rng.random(count) < (cutmix > 0) / ((cutmix > 0) + (mixup > 0))
    alpha = np.where(cut, cutmix, mixup)
    other = rng.beta(alpha, alpha)  # the other picture's share
    sides = np.where(cut, np.sqrt(other), 2)[:, None].repeat(2, axis=1)  # 2: from any centre, all
    return _boxes(rng.random((count, 2)), sides, np.where(cut, 1, other), size)


def _matrices(rows: list[list[Array]]) -> Array:
    """Stacks matrices of [B] vectors into [B, rows, columns]."""
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _boxes(centre: Array, sides: Array, opacity: Array, size: int) -> Array:
    first, last = (
        np.clip(np.round(size * (centre + half * sides)), 0, size) for half in (-0.5, 0.5)
    )
    return np.column_stack([first, last, opacity])  # [B, 5]


# What each operation draws, and the strengths that turn it on.
OPERATIONS = {
    "colour": (draw_colour, "brightness contrast saturation hue_degrees"),
    "geometry": (
        draw_geometry,
        "horizontal_flip vertical_flip rotation_degrees shear_degrees zoom shift crop stretch",
    ),
    "erasing": (draw_erasing, "erasing"),
    "mixing": (draw_mixing, "mixup cutmix"),
}


def build(strengths: Strengths, *, image_size: int, num_classes: int) -> Augmentation:
    """Makes the augmentation; an operation whose strengths are all 0 costs nothing."""
    from kerascnn.builtin.image_operations import augment

    active = {
        name: draw_one
        for name, (draw_one, fields) in OPERATIONS.items()
        if any(getattr(strengths, field) for field in fields.split())
    }

    def draw(rng: np.random.Generator, batch_size: int) -> dict[str, Array]:
        return {
            name: draw_one(strengths, rng, batch_size, image_size).astype("float32")
            for name, draw_one in active.items()
        }

    return Augmentation(draw, augment)


LIGHT = {"horizontal_flip": 0.5, "shift": 0.05, "zoom": 0.1, "brightness": 0.1}
# rotation: 6% of a turn, which with these did well on the photographs of flowers
STANDARD = {
    "horizontal_flip": 0.5,
    "rotation_degrees": 22,
    "zoom": 0.1,
    "crop": 0.3,
    "brightness": 0.2,
    "contrast": 0.2,
}
STRONG = STANDARD | {
    "rotation_degrees": 30,
    "shear_degrees": 10,
    "shift": 0.05,
    "crop": 0.6,
    "stretch": 1 / 3,  # 3:4 to 4:3, as in random resized crop
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.4,
    "hue_degrees": 10,
    "erasing": 0.25,
}
POLICIES = {
    "none": ("the pictures as they are", {}),
    "light": ("flips, small shifts and zooms, slight brightness", LIGHT),
    "standard": ("flips, rotation, zoom, crop, brightness, contrast", STANDARD),
    "strong": ("standard with wider ranges, shear, stretch, colour and erasing", STRONG),
}


def _policy(name: str, summary: str, defaults: dict[str, float]) -> Component:
    fields: dict[str, Any] = {
        field: (Strengths.__annotations__[field], float(value)) for field, value in defaults.items()
    }
    params = create_model(f"{name.title()}Strengths", __base__=Strengths, **fields)
    return Component(name, build, params, summary)


@hookimpl
def kerascnn_augmentations() -> list[Component]:
    return [_policy(name, summary, defaults) for name, (summary, defaults) in POLICIES.items()]
