"""`flowers`: rendered flower images, for experiments that need no download."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from kerascnn import Component, Params, Splits
from kerascnn_flowers.species import SPECIES

if TYPE_CHECKING:
    import numpy as np

RENDERER_VERSION = 1  # raise when any image changes: caches are keyed by it


class FlowersParams(Params):
    """Parameters of the rendered flowers."""

    species: int = Field(
        6,
        ge=2,
        le=len(SPECIES),
        description="Number of classes, the first of: " + ", ".join(s.name for s in SPECIES),
    )
    train: int = Field(700, ge=1, description="Number of training images.")
    validation: int = Field(150, ge=1, description="Number of validation images.")
    test: int = Field(150, ge=1, description="Number of test images.")
    size: int = Field(192, ge=32, le=1024, description="Height and width of an image in pixels.")
    image_seed: int = Field(
        0,
        ge=0,
        description="Seed of the images, independent of the experiment's seed, so that runs with "
        "different seeds are comparable.",
    )


@dataclass(frozen=True)
class FlowerSource:
    """One split: `source[i]` renders image i, the same on every call and in every process."""

    split: str
    params: FlowersParams

    def __len__(self) -> int:
        return getattr(self.params, self.split)

    def __getitem__(self, index: int) -> "tuple[np.ndarray, int]":
        from numpy.random import default_rng

        from kerascnn_flowers.scene import render

        if not 0 <= index < len(self):
            raise IndexError(index)
        label = index % self.params.species
        rng = default_rng([self.params.image_seed, *self.split.encode(), index])
        return render(SPECIES[label], self.params.size, rng), label  # [S, S, 3]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines the split's images and labels."""
        params = self.params
        decides = (params.species, params.size, params.image_seed, self.split, len(self))
        return hashlib.sha256(repr(("flowers", RENDERER_VERSION, *decides)).encode()).hexdigest()


def build(params: FlowersParams, *, seed: int) -> Splits:
    """Makes the three splits without rendering yet, independent of the experiment's seed."""
    splits = {name: FlowerSource(name, params) for name in ("train", "validation", "test")}
    return Splits(**splits, class_names=[species.name for species in SPECIES[: params.species]])


FLOWERS = Component(
    "flowers", build, FlowersParams, "rendered flowers of up to eight species; needs no download"
)
