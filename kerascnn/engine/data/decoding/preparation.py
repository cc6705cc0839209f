"""How an image becomes what the network takes: decoded, made square, cut to size."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps

from kerascnn.engine.data.decoding.depth import ValueRange
from kerascnn.engine.data.decoding.images import Decoded, ImageLike, Pixels, decode
from kerascnn.errors import InputError
from kerascnn.experiment.training import Training

Resizing = Literal["crop", "pad", "stretch"]

# As in the preprocessing of most networks; Pillow's resize always antialiases.
FILTER = Image.Resampling.BICUBIC

# ImageNet's mean: normalization maps it to zero, the padding of convolutions.
PADDING = (124, 116, 104)

# The JPEG decoder may reduce an image to no less than this many times the wanted size, so that the
# antialiased filter does the last of it.
DRAFT_MARGIN = 2


@dataclass(frozen=True)
class Centred:
    """The middle windows of images, indexed like the images."""

    images: Any  # uint8 [N, P, P, 3]
    size: int  # pixels S, at most P

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), self.size, self.size, 3)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        images = self.images[chosen]
        first = (images.shape[-2] - self.size) // 2
        middle = slice(first, first + self.size)
        return images[..., middle, middle, :]


def random_windows(images: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A window [S, S] at a random place in each image [B, P, P, 3]."""
    room = images.shape[1] - size
    if not room:
        return images
    tops, lefts = rng.integers(0, room + 1, (2, len(images)))
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    chosen = windows[np.arange(len(images)), tops, lefts]  # [B, 3, S, S]
    return np.moveaxis(chosen, 1, -1)  # [B, S, S, 3]


def resize_image(image: Pixels | Image.Image, size: int, how: Resizing = "crop") -> Pixels:
    """Resizes an image to a square, antialiased.

    Args:
        image: uint8 [H, W, 3], or an RGB Pillow image.
        size: Side of the square, in pixels, at least 1.
        how: "crop" scales the shorter side to `size` and keeps the middle, "pad" scales the
            longer side to `size` and fills the rest with ImageNet's mean colour, "stretch" changes
            the aspect ratio.

    Returns:
        uint8 [size, size, 3].
    """
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return np.array(_square(drawn, size, how))  # [size, size, 3]


def _square(image: Image.Image, size: int, how: Resizing) -> Image.Image:
    square = (size, size)
    if how == "crop":
        return ImageOps.fit(image, square, FILTER)
    if how == "pad":
        return ImageOps.pad(image, square, FILTER, color=PADDING)
    if how == "stretch":
        return image.resize(square, FILTER)
    raise InputError(f'resize = "{how}": expected "crop", "pad" or "stretch".')


@dataclass(frozen=True)
class Preparation:
    """How an image becomes what the network takes."""

    image_size: int  # side S of the network's input, in pixels
    crop_margin: float = 0.0  # share of `image_size` by which images are packed larger, 0 to 1
    resize: Resizing = "crop"  # how an image becomes square; see `resize_image`
    value_range: ValueRange | None = None  # of black and white; default that of the bits

    @classmethod
    def of(cls, training: Training) -> "Preparation":
        return cls(training.image_size, training.crop_margin, training.resize, training.value_range)

    @property
    def packed_size(self) -> int:
        """Side P of a packed image, in pixels: windows of `image_size` fit in it with room."""
        return round(self.image_size * (1 + self.crop_margin))

    def prepare(self, image: ImageLike) -> Pixels:
        """Reads one image straight to uint8 [P, P, 3], decoding a large JPEG at a reduced size.

        Raises:
            InputError: As `read_image` does.
        """
        return np.array(self.with_peak(image)[0])

    def with_peak(
        self, image: ImageLike, content: bytes | None = None, decoded: Decoded | None = None
    ) -> tuple[Image.Image, float]:
        """As `prepare`, with the greatest value in the file; 0 if the file has 8 bits a value.

        `content` and `decoded` are those of `decode`.
        """
        size = self.packed_size
        read = decode(image, self.value_range, DRAFT_MARGIN * size, content, decoded)
        return _square(read.image, size, self.resize), read.peak

    def windows(self, images: Any) -> Centred:
        """The middle windows [S, S] of packed images uint8 [N, P, P, 3]."""
        return Centred(images, self.image_size)
