"""How strongly each operation of the built-in augmentations acts."""

from typing import Annotated, Any

from pydantic import Field

from kerascnn import Params


def _up_to(largest: float, description: str) -> Any:
    return Field(ge=0, le=largest, description=description)


class Strengths(Params):
    """How strongly each operation acts; 0 turns it off."""

    horizontal_flip: Annotated[float, _up_to(1, "Probability of a flip left to right.")] = 0.0
    vertical_flip: Annotated[float, _up_to(1, "Probability of a flip upside down.")] = 0.0
    rotation_degrees: Annotated[float, _up_to(180, "Largest rotation to either side.")] = 0.0
    shear_degrees: Annotated[float, _up_to(45, "Largest shear to either side.")] = 0.0
    zoom: Annotated[float, _up_to(0.5, "Scale from 1 - zoom to 1 + zoom.")] = 0.0
    shift: Annotated[float, _up_to(0.5, "Largest shift along each axis, in image sides.")] = 0.0
    crop: Annotated[float, _up_to(0.95, "Largest share of the area to crop away.")] = 0.0
    stretch: Annotated[
        float, _up_to(1, "Aspect ratio of the crop from 1 / (1 + stretch) to 1 + stretch.")
    ] = 0.0
    brightness: Annotated[float, _up_to(1, "Factor from 1 - brightness to 1 + brightness.")] = 0.0
    contrast: Annotated[
        float, _up_to(1, "Factor from 1 - contrast to 1 + contrast, about the mean grey.")
    ] = 0.0
    saturation: Annotated[float, _up_to(1, "Factor from 1 - saturation to 1 + saturation.")] = 0.0
    hue_degrees: Annotated[float, _up_to(180, "Largest shift of the hue to either side.")] = 0.0
    erasing: Annotated[float, _up_to(1, "Probability that a box is filled with a random grey.")] = (
        0.0
    )
    erasing_area: Annotated[
        float,
        Field(
            ge=0.02, le=1, description="Largest share of the area to erase; the smallest is 0.02."
        ),
    ] = 1 / 3
    mixup: Annotated[float, _up_to(10, "Alpha of MixUp; 0.2 is common.")] = 0.0
    cutmix: Annotated[
        float, _up_to(10, "Alpha of CutMix; 1 is common. With MixUp, each gets half of the images.")
    ] = 0.0
