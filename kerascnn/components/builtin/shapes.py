"""`shapes`: coloured shapes on plain, noisy backgrounds; tiny and instant, for tests."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from kerascnn import Component, Params, Splits

if TYPE_CHECKING:
    import numpy as np

VERSION = 1  # raise when any image changes: caches are keyed by it
SHAPE_NAMES = ("circle", "square", "triangle", "cross")


class ShapesParams(Params):
    """Parameters of the shapes."""

    classes: int = Field(
        3,
        ge=2,
        le=len(SHAPE_NAMES),
        description="Number of classes, the first of: " + ", ".join(SHAPE_NAMES),
    )
    train: int = Field(48, ge=1, description="Number of training images.")
    validation: int = Field(24, ge=1, description="Number of validation images.")
    test: int = Field(24, ge=1, description="Number of test images.")
    size: int = Field(32, ge=8, le=512, description="Height and width of an image in pixels.")
    image_seed: int = Field(
        0, ge=0, description="Seed of the images, independent of the experiment's seed."
    )


@dataclass(frozen=True)
class ShapeSource:
    """One split: `source[i]` draws image i, the same on every call and in every process."""

    split: str
    params: ShapesParams

    def __len__(self) -> int:
        return getattr(self.params, self.split)

    def __getitem__(self, index: int) -> "tuple[np.ndarray, int]":
        from numpy.random import default_rng

        from kerascnn.components.builtin.shape_drawing import draw

        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = default_rng([self.params.image_seed, *self.split.encode(), index])
        label = index % self.params.classes
        return draw(SHAPE_NAMES[label], self.params.size, rng), label  # [S, S, 3]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines the split's images and labels."""
        params = self.params
        decides = (params.classes, params.size, params.image_seed, self.split, len(self))
        return hashlib.sha256(repr(("shapes", VERSION, *decides)).encode()).hexdigest()


def build(params: ShapesParams, *, seed: int) -> Splits:
    """Makes the three splits, independent of the experiment's seed."""
    splits = {name: ShapeSource(name, params) for name in ("train", "validation", "test")}
    return Splits(**splits, class_names=list(SHAPE_NAMES[: params.classes]))


SHAPES = Component("shapes", build, ShapesParams, "coloured shapes, tiny and instant, for tests")
