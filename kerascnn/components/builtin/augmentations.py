"""The augmentations none, light, standard and strong: one set of strengths, four sets of defaults.

All that is random `random_draws` draws, in NumPy; `image_operations` applies it.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from kerascnn import Augmentation, Component, Params, hookimpl

if TYPE_CHECKING:
    import numpy as np


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


# The strengths that turn an operation on.
OPERATIONS = {
    "colour": "brightness contrast saturation hue_degrees",
    "geometry": "horizontal_flip vertical_flip rotation_degrees shear_degrees zoom shift crop "
    "stretch",
    "erasing": "erasing",
    "mixing": "mixup cutmix",
}


def build(strengths: Strengths, *, image_size: int, num_classes: int) -> Augmentation:
    """Makes the augmentation; an operation whose strengths are all 0 costs nothing."""
    from kerascnn.components.builtin.image_operations import augment
    from kerascnn.components.builtin.random_draws import DRAWS

    active = [
        name
        for name, fields in OPERATIONS.items()
        if any(getattr(strengths, field) for field in fields.split())
    ]

    def draw(rng: "np.random.Generator", batch_size: int) -> "dict[str, np.ndarray]":
        return {
            name: DRAWS[name](strengths, rng, batch_size, image_size).astype("float32")
            for name in active
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
