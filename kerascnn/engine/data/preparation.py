"""How an image becomes what the network takes."""

from dataclasses import dataclass
from typing import Any

from kerascnn.engine.data.depth import ValueRange
from kerascnn.engine.data.images import ImageLike, Pixels, decode
from kerascnn.engine.data.resizing import Resizing, resize_image
from kerascnn.engine.data.windows import Centred
from kerascnn.experiment.model import Training

# The JPEG decoder may reduce an image to no less than this many times the wanted size, so that the
# antialiased filter does the last of it.
DRAFT_MARGIN = 2


@dataclass(frozen=True)
class Preparation:
    """How an image becomes what the network takes.

    Args:
        image_size: Side S of the network's input, in pixels.
        crop_margin: Share of `image_size` by which images are packed larger, 0 to 1.
        resize: How an image becomes square; see `resize_image`.
        value_range: The values of black and white in images of more than 8 bits a value; default
            the range of their bits.
    """

    image_size: int
    crop_margin: float = 0.0
    resize: Resizing = "crop"
    value_range: ValueRange | None = None

    @classmethod
    def of(cls, training: Training) -> "Preparation":
        """The preparation that an experiment asks for."""
        return cls(training.image_size, training.crop_margin, training.resize, training.value_range)

    @property
    def packed_size(self) -> int:
        """Side P of a packed image, in pixels: windows of `image_size` fit in it with room."""
        return round(self.image_size * (1 + self.crop_margin))

    def prepare(self, image: ImageLike) -> Pixels:
        """Reads one image straight to a square, decoding a large JPEG at a reduced size.

        Returns:
            uint8 [P, P, 3].

        Raises:
            InputError: As `read_image` does.
        """
        return self.with_peak(image)[0]

    def with_peak(self, image: ImageLike) -> tuple[Pixels, float]:
        """As `prepare`, with the greatest value in the file; 0 if the file has 8 bits a value."""
        size = self.packed_size
        read = decode(image, self.value_range, draft_side=DRAFT_MARGIN * size)
        return resize_image(read.image, size, self.resize), read.peak

    def windows(self, images: Any) -> Centred:
        """The middle windows [S, S] of packed images uint8 [N, P, P, 3]."""
        return Centred(images, self.image_size)
