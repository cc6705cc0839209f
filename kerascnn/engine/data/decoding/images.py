"""Decodes images of any kind to uint8 [H, W, 3], upright, in red, green, blue."""

import errno
import os
import warnings
from io import BytesIO
from typing import BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from kerascnn.engine.data.decoding.depth import Read, ValueRange, bits, to_8_bits
from kerascnn.engine.data.decoding.formats import (
    AVIF,
    HEIF,
    PACKAGE,
    PNG_SIGNATURE,
    brands,
    heic_version,
    is_heic,
    register_heic,
    without_metadata,
)
from kerascnn.engine.data.sources.files import open_file, shown
from kerascnn.errors import InputError
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.commands import pip_install

ImageLike = str | os.PathLike[str] | bytes | NDArray[np.uint8] | Image.Image
IMAGE_TYPES = (str, os.PathLike, bytes, np.ndarray, Image.Image)
Pixels = NDArray[np.uint8]
Decoded = dict[tuple[tuple[int, int], ValueRange | None], Read]
"""What has been decoded of an image, by the size that the decoder gives and the values' range."""

# Pillow only warns above this, and refuses twice as many: a "decompression bomb" of a few kilobytes
# can unpack to gigabytes.
MAX_PIXELS = 89_478_485
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # see `_check_pixels`

# Not all of Pillow's formats: EPS would run Ghostscript, whatever the suffix.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")

# What such files are, by their first bytes in lower case.
OTHER_KINDS = {
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<svg": "an SVG drawing",
    b"%pdf": "a PDF document",
    b"%!ps": "PostScript",
    b"pk\x03\x04": "a ZIP archive",
}

_START = 512  # bytes that identify a file


class ImageError(InputError):
    """An image that cannot be read; `reason` is the cause alone, without its name."""

    def __init__(self, name: str, reason: str, what_to_do: str) -> None:
        self.reason = reason
        super().__init__(f"cannot read {name}: {reason}. {what_to_do}")


def decoders() -> str:
    """The versions of the decoders, which affect the pixels."""
    return f"Pillow {PIL.__version__} {PACKAGE} {heic_version()}"


def read_image(image: ImageLike, value_range: ValueRange | None = None) -> Pixels:
    """Reads one image, of any kind that Pillow decodes, as a viewer would show it.

    The EXIF orientation is applied, transparent images are put on white, 16-bit values are scaled
    to 8 bits, and only the first frame of an animation is read.

    Args:
        image: A path, encoded bytes, uint8 [H, W, 3], [H, W, 1] or [H, W], or a Pillow image.
        value_range: The values of black and white in images with more than 8 bits per value;
            default the range of their bits. Required for floating-point values.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: It is not an image, is damaged, or has more than 89,478,485 pixels.
    """
    return np.array(decode(image, value_range).image)  # [H, W, 3]


def decode(
    image: ImageLike,
    value_range: ValueRange | None = None,
    draft_side: int | None = None,
    content: bytes | None = None,
    decoded: Decoded | None = None,
) -> Read:
    """As `read_image`; a JPEG may be decoded smaller, to no less than `draft_side` pixels.

    `content` is that of the file at a path, if it has been read already; `decoded` is what has been
    decoded of the same image, which is not decoded again.
    """
    decoded = {} if decoded is None else decoded
    if isinstance(image, np.ndarray):
        return Read(_from_array(image))
    if isinstance(image, Image.Image):
        return _from_pillow(image, value_range)
    expect(image, IMAGE_TYPES, "image")
    name = f"image of {len(image):,} bytes" if isinstance(image, bytes) else f'"{shown(image)}"'
    try:
        with _opened(image, content) as file:
            try:
                return _read(file, value_range, draft_side, decoded)
            except Exception:
                file.seek(0)
                if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
                    raise
                lean = BytesIO(without_metadata(file.read()))
                return _read(lean, value_range, draft_side, decoded)
    except Exception as error:  # the decoders raise anything, from struct.error to SyntaxError
        raise ImageError(name, _reason(image, error), _what_to_do(image)) from error


def _opened(image: str | os.PathLike[str] | bytes, content: bytes | None) -> BinaryIO:
    if isinstance(image, bytes):
        return BytesIO(image)
    return open_file(image) if content is None else BytesIO(content)


def _read(
    file: BinaryIO, value_range: ValueRange | None, draft_side: int | None, decoded: Decoded
) -> Read:
    with Image.open(file, formats=_formats(file)) as image:
        _check_pixels(image)
        if draft_side:
            image.draft(None, (draft_side, draft_side))  # only affects JPEG
        known = image.size, value_range
        if known not in decoded:
            depth = bits(image)  # not known once the image is loaded
            image.load()  # verify() would accept a truncated JPEG
            decoded[known] = _upright(image, depth, value_range)
        return decoded[known]


def _formats(file: BinaryIO) -> tuple[str, ...]:
    """The formats that a file may be in; the HEIC package is only loaded for HEIC."""
    start = file.read(_START)
    file.seek(0)
    if not is_heic(start):
        return FORMATS
    register_heic()
    return (HEIF,)


def suffix_of(image: bytes) -> str:
    """The suffix for a file of an image that has been decoded: ".jpg", ".png", …."""
    start = image[:_START]
    if is_heic(start):
        return ".heic"
    accepts = {name: Image.OPEN[name][1] for name in FORMATS if name in Image.OPEN}
    kind = next(name for name, accept in accepts.items() if accept and accept(start))
    return {"JPEG": ".jpg", "TIFF": ".tif"}.get(kind, f".{kind.lower()}")


def _upright(image: Image.Image, depth: int, value_range: ValueRange | None) -> Read:
    """Applies the EXIF orientation; drops other EXIF data, which Pillow may fail to write."""
    image.getexif()
    for key in ("exif", "Raw profile type exif"):
        image.info.pop(key, None)  # else `exif_transpose` writes them again
    ImageOps.exif_transpose(image, in_place=True)
    read = to_8_bits(image, depth, value_range)
    return read._replace(image=_to_rgb(read.image))


def _reason(image: str | os.PathLike[str] | bytes, error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return _what_it_is(image)
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {MAX_PIXELS:,} pixels"
    if isinstance(image, bytes) or not isinstance(error, OSError):
        return str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "it is a broken link" if os.path.islink(image) else "there is no such file"
    if error.errno == errno.ELOOP:
        return "it is a link to itself"
    return (error.strerror or str(error)).lower() if error.errno else str(error)


def _what_to_do(image: str | os.PathLike[str] | bytes) -> str:
    if not isinstance(image, bytes) and os.path.isdir(image):
        return f'Pass the images in it, such as "{shown(image)}"/*.'
    if not isinstance(image, bytes) and not os.path.lexists(image):
        return "Check the spelling of its path."
    return (
        "Expected a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC image of at most "
        f"{MAX_PIXELS:,} pixels; repair, replace or remove it."
    )


def _what_it_is(image: str | os.PathLike[str] | bytes) -> str:
    """What a file is that is not an image."""
    if isinstance(image, bytes):
        start = image[:_START]
    else:
        with open_file(image) as file:
            start = file.read(_START)
    if not start:
        return "it is empty"
    if brands(start) & AVIF and not features.check("avif"):
        install = pip_install("--upgrade", "pillow")
        return f"it is AVIF, which the installed Pillow cannot read; run `{install}`"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    other = next((kind for sign, kind in OTHER_KINDS.items() if text.startswith(sign)), "")
    if text.startswith(b"<?xml") and b"<svg" in text:
        other = "an SVG drawing"
    return f"it is {other}" if other else "its format is not supported"


def _from_array(array: Pixels) -> Image.Image:
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    color = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (grey or color) or array.size == 0:
        raise InputError(
            "cannot use an array as an image: expected uint8 of shape [H, W, 3], [H, W, 1] or "
            f"[H, W] and not empty, got {array.dtype} of shape {list(array.shape)}."
        )
    return Image.fromarray(array.reshape(array.shape[:2]) if grey else array).convert("RGB")


def _from_pillow(image: Image.Image, value_range: ValueRange | None) -> Read:
    """Leaves the caller's image unchanged and open."""
    try:
        _check_pixels(image)
        return _upright(image.copy(), bits(image), value_range)
    except Exception as error:  # its file may be damaged
        raise InputError(f"cannot read a Pillow image: {error or type(error).__name__}.") from error


def _check_pixels(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"it has {width:,} x {height:,} pixels")


def _to_rgb(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
