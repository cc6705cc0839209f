"""The augmentations none, light, standard and strong: the same parameters with other defaults.

`random_draws` draws everything random, in NumPy; `image_operations` applies it. `mixing` draws and
applies what mixes images.
"""

from copy import copy
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from kerascnn import Augmentation, Component, Mixing, hookimpl
from kerascnn.components.builtin.strengths import Strengths

if TYPE_CHECKING:
    import numpy as np


# The strengths that turn an operation on.
OPERATIONS = {
    "colour": "brightness contrast saturation hue_degrees",
    "geometry": "horizontal_flip vertical_flip rotation_degrees shear_degrees zoom shift crop "
    "stretch",
    "erasing": "erasing",
}


def build(strengths: Strengths, *, image_size: int, num_classes: int) -> Augmentation:
    """Makes the augmentation; operations whose strengths are all 0 are left out."""
    from kerascnn.components.builtin.image_operations import augment
    from kerascnn.components.builtin.random_draws import DRAWS

    on = {field for field, strength in strengths if strength}
    active = [name for name, fields in OPERATIONS.items() if on & set(fields.split())]

    def draw(rng: "np.random.Generator", batch_size: int) -> "dict[str, np.ndarray]":
        return {
            name: DRAWS[name](strengths, rng, batch_size, image_size).astype("float32")
            for name in active
        }

    mixes = strengths.mixup or strengths.cutmix
    return Augmentation(draw, augment, _mixing(strengths, image_size) if mixes else None)


def _mixing(strengths: Strengths, image_size: int) -> Mixing:
    from kerascnn.components.builtin import mixing

    def draw(rng: "np.random.Generator", batch_size: int) -> "dict[str, np.ndarray]":
        return {"boxes": mixing.draw(strengths, rng, batch_size, image_size)}

    def apply(batch: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
        return mixing.mix(batch, arrays["boxes"])

    return Mixing(draw, apply, params=("mixup", "cutmix"))


LIGHT = {"horizontal_flip": 0.5, "shift": 0.05, "zoom": 0.1, "brightness": 0.1}
# 22 degrees, 6% of a full turn, did well on photographs of flowers
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
    "none": ("unchanged images", {}),
    "light": ("flips, small shifts and zooms, slight brightness", LIGHT),
    "standard": ("flips, rotation, zoom, crop, brightness, contrast", STANDARD),
    "strong": ("as standard, with wider ranges, shear, stretch, colour and erasing", STRONG),
}


def _policy(name: str, summary: str, defaults: dict[str, float]) -> Component:
    fields: dict[str, Any] = {}
    for field, value in defaults.items():
        inherited = copy(Strengths.model_fields[field])
        inherited.default = float(value)
        fields[field] = (float, inherited)
    params = create_model(f"{name.title()}Strengths", __base__=Strengths, **fields)
    return Component(name, build, params, summary)


@hookimpl
def kerascnn_augmentations() -> list[Component]:
    return [_policy(name, summary, defaults) for name, (summary, defaults) in POLICIES.items()]
