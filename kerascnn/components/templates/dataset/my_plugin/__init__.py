"""The dataset `my_component`: grey stripes, vertical or horizontal, generated on request."""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from kerascnn import Component, Params, Splits, hookimpl

CLASS_NAMES = ("vertical", "horizontal")


class StripesParams(Params):
    """The component's keys in the TOML; `plugins show` lists their descriptions and bounds."""

    train: int = Field(64, ge=2, description="Number of training images.")
    held_out: int = Field(32, ge=2, description="Number of validation images, and of test images.")
    size: int = Field(32, ge=8, le=512, description="Height and width of an image in pixels.")


@dataclass(frozen=True)
class Stripes:
    """A split: `split[i]` returns an image and the index of its class.

    The image may be a path, the bytes of a file or, as here, an array.
    """

    split: str
    length: int
    size: int

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(index)
        rng = np.random.default_rng([*self.split.encode(), index])  # the same on every call
        label = index % len(CLASS_NAMES)
        wave = np.sin(np.arange(self.size) * rng.uniform(0.5, 1.5) + rng.uniform(0, 6))
        stripes = 128 + 90 * np.broadcast_to(wave, (self.size, self.size))
        noisy = (stripes.T if label else stripes) + rng.normal(0, 12, stripes.shape)
        image = np.clip(noisy, 0, 255).astype("uint8")
        return image[..., None].repeat(3, axis=2), label  # [S, S, 3]

    @property
    def fingerprint(self):
        """A key of the cache: must change whenever an image or a label changes.

        Optional: without it kerascnn hashes the images.
        """
        return f"my_component 1 {self.split} {self.length} {self.size}"


def build(params, *, seed):
    """Returns the splits; use `seed` if images are assigned to splits at random."""
    return Splits(
        train=Stripes("train", params.train, params.size),
        validation=Stripes("validation", params.held_out, params.size),
        test=Stripes("test", params.held_out, params.size),
        class_names=CLASS_NAMES,
    )


@hookimpl
def kerascnn_datasets():
    return [Component("my_component", build, StripesParams, "vertical and horizontal stripes")]
