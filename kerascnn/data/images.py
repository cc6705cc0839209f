"""Pictures: whatever Pillow can decode becomes uint8 [H, W, 3], upright, in red, green, blue."""

import errno
import os
import stat
import unicodedata
import warnings
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kerascnn.arguments import expect
from kerascnn.errors import InputError

ImageLike = str | os.PathLike[str] | bytes | NDArray[np.uint8] | Image.Image
IMAGE_TYPES = (str, os.PathLike, bytes, np.ndarray, Image.Image)
Pixels = NDArray[np.uint8]
Resizing = Literal["crop", "pad", "stretch"]

# Pillow warns from here on, and refuses only at twice as many: a "decompression bomb" of a few
# kilobytes can unpack to gigabytes.
MAX_PIXELS = 89_478_485
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # it is refused here

# Of Pillow's other formats EPS would run Ghostscript, whatever the suffix says.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")

# What networks' own preprocessing uses (antialiased, as Pillow's resize always is).
FILTER = Image.Resampling.BICUBIC

# ImageNet's mean: normalization turns it into the zeros with which convolutions pad.
PADDING = (124, 116, 104)

# The JPEG decoder may shrink to no less than this many times the wanted size, so that the
# antialiased filter does the last of it.
DRAFT_MARGIN = 2


class PictureError(InputError):
    """A picture that cannot be read; `reason` says why, without its name."""

    def __init__(self, name: str, reason: str, what_to_do: str) -> None:
        self.reason = reason
        super().__init__(f"cannot read {name}: {reason}. {what_to_do}")


def shown(path: str | os.PathLike[str]) -> str:
    """A path for people: what is no text, or would break the line, is escaped."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in str(path)
    )


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file to read it; what is no regular file, such as a pipe, is refused at once."""
    # without O_NONBLOCK the opening of a pipe waits for its writer
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is no regular file")
    return open(descriptor, "rb")


def pictures_below(path: Path) -> list[Path]:
    """The path itself if it is no folder, else the visible pictures in it at any depth, by name."""
    if not path.is_dir():
        return [path]
    known = Image.registered_extensions()
    return sorted(
        file
        for file in path.rglob("*")
        if known.get(file.suffix.lower()) in FORMATS
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def read_image(image: ImageLike) -> Pixels:
    """Reads one picture, of any kind that Pillow decodes, as a person would see it.

    The EXIF orientation is applied, transparency is laid on white, 16-bit values are scaled to
    8 bits, and of an animation the first frame is taken.

    Args:
        image: A path, encoded bytes, uint8 [H, W, 3], [H, W, 1] or [H, W], or an image of Pillow's.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: It is no picture, is damaged, or has more than 89,478,485 pixels.
    """
    return np.array(_decode(image))  # [H, W, 3]


def prepare_image(image: ImageLike, size: int, how: Resizing = "crop") -> Pixels:
    """Reads one picture straight to a square, decoding a large JPEG at a reduced size.

    Args:
        image: As `read_image` takes it.
        size: Side of the square, in pixels, at least 1.
        how: See `resize_image`.

    Returns:
        uint8 [size, size, 3].

    Raises:
        InputError: As `read_image` does.
    """
    return resize_image(_decode(image, draft_side=DRAFT_MARGIN * size), size, how)


def resize_image(image: Pixels | Image.Image, size: int, how: Resizing = "crop") -> Pixels:
    """Resizes a picture to a square, antialiased.

    Args:
        image: uint8 [H, W, 3], or an RGB picture of Pillow's.
        size: Side of the square, in pixels, at least 1.
        how: "crop" brings the shorter side to `size` and cuts the middle out, "pad" brings the
            longer side to `size` and fills up with ImageNet's mean colour, "stretch" changes the
            aspect ratio.

    Returns:
        uint8 [size, size, 3].
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    square = (size, size)
    if how == "crop":
        picture = ImageOps.fit(picture, square, FILTER)
    elif how == "pad":
        picture = ImageOps.pad(picture, square, FILTER, color=PADDING)
    elif how == "stretch":
        picture = picture.resize(square, FILTER)
    else:
        raise InputError(f'resize = "{how}": expected "crop", "pad" or "stretch".')
    return np.array(picture)  # [size, size, 3]


def _decode(image: ImageLike, draft_side: int | None = None) -> Image.Image:
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Image.Image):
        return _from_pillow(image)
    expect(image, IMAGE_TYPES, "image")
    name = f"picture of {len(image):,} bytes" if isinstance(image, bytes) else f'"{shown(image)}"'
    try:
        with (
            BytesIO(image) if isinstance(image, bytes) else open_file(image) as file,
            Image.open(file, formats=FORMATS) as picture,
        ):
            _check_pixels(picture)
            if draft_side:
                picture.draft(None, (draft_side, draft_side))  # of JPEG alone
            picture.load()  # verify() would not notice a cut-off JPEG
            _turn_upright(picture)
            return _to_rgb(picture)
    except Exception as error:  # the decoders raise anything, from struct.error to SyntaxError
        raise PictureError(name, _reason(image, error), _what_to_do(image)) from error


def _turn_upright(picture: Image.Image) -> None:
    """As the EXIF orientation says, which is read; the rest of it may be what nobody can write."""
    picture.getexif()
    for notes in ("exif", "Raw profile type exif"):
        picture.info.pop(notes, None)  # else they are written anew
    ImageOps.exif_transpose(picture, in_place=True)


def _reason(image: str | os.PathLike[str] | bytes, error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return _what_it_is(image)
    if isinstance(image, bytes) or not isinstance(error, OSError):
        return str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "it is a link to nothing" if os.path.islink(image) else "there is no such file"
    if error.errno == errno.ELOOP:
        return "it is a link that leads to itself"
    return (error.strerror or str(error)).lower() if error.errno else str(error)


def _what_to_do(image: str | os.PathLike[str] | bytes) -> str:
    if not isinstance(image, bytes) and os.path.isdir(image):
        return f'Name the pictures in it, such as "{shown(image)}"/*.'
    if not isinstance(image, bytes) and not os.path.lexists(image):
        return "Look for a slip in its name, or in that of a folder on the way to it."
    return (
        "Expected a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture of at most "
        f"{MAX_PIXELS:,} pixels; repair, replace or remove it."
    )


def _what_it_is(image: str | os.PathLike[str] | bytes) -> str:
    """What a file is that is no picture."""
    if isinstance(image, bytes):
        start = image[:512]
    else:
        with open_file(image) as file:
            start = file.read(512)
    if not start:
        return "it is empty"
    page = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html"))
    return "it is a web page" if page else "it is in none of the formats that are read"


def _from_array(array: Pixels) -> Image.Image:
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    color = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (grey or color) or array.size == 0:
        raise InputError(
            "cannot use an array as a picture: expected uint8 of shape [H, W, 3], [H, W, 1] or "
            f"[H, W], none of them 0; got {array.dtype} of shape {list(array.shape)}."
        )
    return Image.fromarray(array.reshape(array.shape[:2]) if grey else array).convert("RGB")


def _from_pillow(image: Image.Image) -> Image.Image:
    """The caller's own image stays as it is, and open."""
    try:
        _check_pixels(image)
        picture = image.copy()
        _turn_upright(picture)
        return _to_rgb(picture)
    except Exception as error:  # it may be open on a damaged file
        raise InputError(f"cannot read a Pillow image: {error or type(error).__name__}.") from error


def _check_pixels(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"it claims {width:,} x {height:,} pixels")


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        return _from_16_bits(picture)
    if picture.mode == "F":
        raise ValueError("it holds floating-point values, whose range is not known")
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _from_16_bits(picture: Image.Image) -> Image.Image:
    """Pillow's own conversion clips at 255 on some of its versions."""
    values = np.asarray(picture)  # [H, W]
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"its values go from {values.min()} to {values.max()}, not 0 to 65535")
    grey = (values.astype(np.uint32) + 128) // 257  # 257 = 65535 / 255, rounded to the nearest
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
