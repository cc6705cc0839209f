"""Transforms of Albumentations, named in the TOML file, as an augmentation on the host."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from kerascnn import Component, HostAugmentation, InputError, Params, hookimpl, pip_install

if TYPE_CHECKING:
    from kerascnn_albumentations.chain import Chain

# As strong as the built-in `standard`, with some colour and erasing.
DEFAULT: list[dict[str, Any]] = [
    {"name": "HorizontalFlip", "p": 0.5},
    {
        "name": "Affine",
        "scale": [0.85, 1.15],
        "translate_percent": [-0.05, 0.05],
        "rotate": [-20, 20],
        "border_mode": "BORDER_REFLECT_101",
        "p": 0.9,
    },
    {"name": "RandomBrightnessContrast", "brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5},
    {"name": "HueSaturationValue", "hue_shift_limit": 8, "p": 0.3},
    {
        "name": "OneOf",
        "transforms": [{"name": "GaussianBlur"}, {"name": "GaussNoise"}, {"name": "Sharpen"}],
        "p": 0.2,
    },
    {"name": "CoarseDropout", "p": 0.25},
]


class Transforms(Params):
    """A chain of transforms of Albumentations, each a table with its name and arguments."""

    transforms: list[dict[str, Any]] = Field(
        DEFAULT,
        min_length=1,
        description='Tables such as { name = "Rotate", limit = 20, p = 0.5 }, applied in order. '
        "`name` is a class of Albumentations, the other keys are its arguments.",
    )


def build(params: Transforms, *, image_size: int, num_classes: int) -> HostAugmentation:
    """Makes the chain; raises InputError if a transform is unknown or does not fit images."""
    return HostAugmentation(_chain(params, image_size))


def check(params: Transforms, *, image_size: int) -> dict[str, str]:
    """The first fault of the transforms. Albumentations is imported in half a second."""
    try:
        _chain(params, image_size)
    except InputError as error:
        return {"transforms": str(error).rstrip(".")}
    return {}


def _chain(params: Transforms, image_size: int) -> "Chain":
    try:
        from kerascnn_albumentations.chain import Chain
    except ImportError as error:
        raise InputError(
            f"cannot import Albumentations ({error}); install it with "
            f"`{pip_install('albumentations==2.0.8')}`."
        ) from error
    chain = Chain(params.transforms, image_size)
    chain.try_out()
    return chain


@hookimpl
def kerascnn_augmentations() -> list[Component]:
    summary = "transforms of Albumentations, by name"
    return [Component("albumentations", build, Transforms, summary, check)]
