"""Images with more than 8 bits per value, reduced to the 8 bits that networks are trained on."""

from typing import NamedTuple

import numpy as np
from PIL import Image

ValueRange = tuple[float, float]
"""The values of black and white."""

SMALL = 2**14  # 14 bits: values below it fill less than a quarter of the range
WHITE_IS_ZERO, PHOTOMETRIC = 0, 262  # TIFF 6.0, section 8
SAY = "set the values of black and white, such as training.value_range = [0, 1]"


class Read(NamedTuple):
    """An image of 8 bits per value, and the greatest value in its file, or 0 if that has 8 bits."""

    image: Image.Image
    peak: float = 0.0


def bits(image: Image.Image) -> int:
    """Bits per value of an image that is not loaded yet: 8, 12 or, for anything more, 16."""
    tile = getattr(image, "tile", None)
    coding = tile[0].args if tile else ""
    raw = str(coding if isinstance(coding, str) else coding and coding[0])
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return 12 if raw.startswith("I;12") else 16
    return 16 if ";16" in raw and image.mode in ("LA", "RGB", "RGBA") else 8


def to_8_bits(image: Image.Image, bits: int, value_range: ValueRange | None) -> Read:
    """Reduces a loaded image to 8 bits per value; raises ValueError if its range is not known.

    `bits` is from before the image was loaded; the default range of values is that of the bits.
    """
    if bits == 8:
        return Read(image)
    if len(image.getbands()) > 1:
        return _colours(image, value_range)
    return _grey(image, bits, value_range)


def _grey(image: Image.Image, bits: int, value_range: ValueRange | None) -> Read:
    values = np.asarray(image)  # [H, W]
    if not np.isfinite(values).all():
        raise ValueError("it contains NaN or infinite values")
    low, high, greatest = float(values.min()), float(values.max()), 2**bits - 1
    if value_range is None and image.mode == "F":
        raise ValueError(f"it has floating-point values, here {low:g} to {high:g}; {SAY}")
    if value_range is None and (low < 0 or high > greatest):
        raise ValueError(f"its values are {low:.0f} to {high:.0f}, outside 0 to {greatest}; {SAY}")
    black, white = value_range or (0, greatest)
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO and image.mode != "F":
        black, white = white, black  # Pillow itself inverts only images of up to 8 bits
    scaled = Image.fromarray(_scaled(values, black, white)).convert("RGB")
    return Read(scaled, high if value_range or bits == 16 else 0)


def _colours(image: Image.Image, value_range: ValueRange | None) -> Read:
    """Pillow reads only the upper 8 of the 16 bits of each value."""
    bands = len(image.getbands()) - ("A" in image.getbands())
    upper = np.array(image)  # [H, W, colours and alpha, if any]
    peak = float(upper[..., :bands].max()) * 257
    if value_range is None:
        return Read(image, peak)
    upper[..., :bands] = _scaled(upper[..., :bands] * 257.0, *value_range)
    return Read(Image.fromarray(upper, image.mode), peak)


def _scaled(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """uint8, rounded to the nearest; Pillow's own conversion clips at 255 on some versions."""
    scaled = (values - float(black)) * 255 / (white - black)
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
