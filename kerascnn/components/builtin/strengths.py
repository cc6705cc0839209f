"""How strongly each operation of the built-in augmentations acts."""

from typing import Any

from pydantic import Field

from kerascnn import Params


def _up_to(largest: float, description: str) -> Any:
    return Field(0.0, ge=0, le=largest, description=description)


class Strengths(Params):
    """How strongly each operation acts; 0 turns it off."""

    horizontal_flip: float = _up_to(1, "Probability of a flip left to right.")
    vertical_flip: float = _up_to(1, "Probability of a flip upside down.")
    rotation_degrees: float = _up_to(180, "Largest rotation to either side.")
    shear_degrees: float = _up_to(45, "Largest shear to either side.")
    zoom: float = _up_to(0.5, "Scale from 1 - zoom to 1 + zoom.")
    shift: float = _up_to(0.5, "Largest shift along each axis, in image sides.")
    crop: float = _up_to(0.95, "Largest share of the area to crop away.")
    stretch: float = _up_to(1, "Aspect ratio of the crop from 1 / (1 + stretch) to 1 + stretch.")
    brightness: float = _up_to(1, "Factor from 1 - brightness to 1 + brightness.")
    contrast: float = _up_to(1, "Factor from 1 - contrast to 1 + contrast, about the mean grey.")
    saturation: float = _up_to(1, "Factor from 1 - saturation to 1 + saturation.")
    hue_degrees: float = _up_to(180, "Largest shift of the hue to either side.")
    erasing: float = _up_to(1, "Probability that a box is filled with a random grey.")
    erasing_area: float = Field(
        1 / 3,
        ge=0.02,
        le=1,
        description="Largest share of the area to erase; the smallest is 0.02.",
    )
    mixup: float = _up_to(10, "Alpha of MixUp; 0.2 is common.")
    cutmix: float = _up_to(
        10, "Alpha of CutMix; 1 is common. With MixUp, each gets half of the images."
    )
