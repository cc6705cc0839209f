"""`shapes`: coloured shapes on plain, noisy backgrounds; tiny and instant, for tests."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from kerascnn import Component, Params, Splits

VERSION = 1  # raise it whenever any picture changes: caches are keyed by it

# Distance outside each shape's edge, in its own radius, at (x, y).
SHAPES_BY_NAME: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda x, y: np.hypot(x, y) - 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) - 0.85,
    "triangle": lambda x, y: np.maximum(y, abs(x) * 3**0.5 / 2 - y / 2) - 0.6,
    "cross": lambda x, y: np.maximum(
        np.maximum(abs(x), abs(y)) - 1, np.minimum(abs(x), abs(y)) - 0.3
    ),
}


class ShapesParams(Params):
    """Parameters of the shapes."""

    classes: int = Field(
        3,
        ge=2,
        le=len(SHAPES_BY_NAME),
        description="How many of: " + ", ".join(SHAPES_BY_NAME),
    )
    train: int = Field(48, ge=1, description="Number of training pictures.")
    validation: int = Field(24, ge=1, description="Number of validation pictures.")
    test: int = Field(24, ge=1, description="Number of test pictures.")
    size: int = Field(32, ge=8, le=512, description="Height and width of a picture in pixels.")
    picture_seed: int = Field(
        0, ge=0, description="Seed of the pictures, which do not change with the experiment's seed."
    )


@dataclass(frozen=True)
class ShapeSource:
    """One split: `source[i]` draws picture i, the same on every call and in every process."""

    split: str
    params: ShapesParams

    def __len__(self) -> int:
        return getattr(self.params, self.split)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.params.picture_seed, *self.split.encode(), index])
        label = index % self.params.classes
        outside = list(SHAPES_BY_NAME.values())[label]
        return _draw(outside, self.params.size, rng), label  # [S, S, 3]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides the split's pictures and labels."""
        params = self.params
        decides = (params.classes, params.size, params.picture_seed, self.split, len(self))
        return hashlib.sha256(repr(("shapes", VERSION, *decides)).encode()).hexdigest()


def _draw(
    outside: Callable[[np.ndarray, np.ndarray], np.ndarray], size: int, rng: np.random.Generator
) -> np.ndarray:
    radius, turn = rng.uniform(0.22, 0.34), rng.uniform(-0.2, 0.2)  # picture widths, radians
    centre = rng.uniform(0.4, 0.6, 2)
    x, y = ((np.arange(size) + 0.5) / size - centre[:, None]) / radius
    x, y = x[None, :], y[:, None]
    across, down = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    inside = np.clip(0.5 - outside(across, down) * radius * size, 0, 1)[..., None]  # [S, S, 1]
    background, colour = rng.uniform(0, 110, 3), rng.uniform(145, 255, 3)
    pixels = background + (colour - background) * inside + rng.normal(0, 6, (size, size, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def build(params: ShapesParams, *, seed: int) -> Splits:
    """Makes the three splits; the experiment's seed changes no picture."""
    splits = {name: ShapeSource(name, params) for name in ("train", "validation", "test")}
    return Splits(**splits, class_names=list(SHAPES_BY_NAME)[: params.classes])


SHAPES = Component("shapes", build, ShapesParams, "coloured shapes, tiny and instant, for tests")
