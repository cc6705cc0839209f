"""Images: whatever Pillow can decode becomes uint8 [H, W, 3], upright, in red, green, blue."""

import errno
import os
import stat
import unicodedata
import warnings
from io import BytesIO
from typing import BinaryIO, Literal

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from kerascnn.engine.data.depth import Range, Read, bits, to_8_bits
from kerascnn.engine.data.heic import (
    AVIF,
    PACKAGE,
    brands,
    heic_version,
    is_heic,
    let_pillow_read_it,
)
from kerascnn.engine.data.heic import FORMAT as HEIF
from kerascnn.engine.data.png import SIGNATURE, without_notes
from kerascnn.errors import InputError
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.commands import pip_install

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

_START = 512  # bytes that tell what a file is

# What networks' own preprocessing uses (antialiased, as Pillow's resize always is).
FILTER = Image.Resampling.BICUBIC

# ImageNet's mean: normalization turns it into the zeros with which convolutions pad.
PADDING = (124, 116, 104)

# The JPEG decoder may shrink to no less than this many times the wanted size, so that the
# antialiased filter does the last of it.
DRAFT_MARGIN = 2


class ImageError(InputError):
    """An image that cannot be read; `reason` says why, without its name."""

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


def decoders() -> str:
    """The versions of what decodes images, which decide their pixels."""
    return f"Pillow {PIL.__version__} {PACKAGE} {heic_version()}"


def read_image(image: ImageLike, value_range: Range | None = None) -> Pixels:
    """Reads one image, of any kind that Pillow decodes, as a person would see it.

    The EXIF orientation is applied, transparency is laid on white, 16-bit values are scaled to
    8 bits, and of an animation the first frame is taken.

    Args:
        image: A path, encoded bytes, uint8 [H, W, 3], [H, W, 1] or [H, W], or an image of Pillow's.
        value_range: The values of black and white in images of more than 8 bits a value; default
            all that 16 bits hold. Floating-point values are read only with it.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: It is no image, is damaged, or has more than 89,478,485 pixels.
    """
    return np.array(_decode(image, value_range).image)  # [H, W, 3]


def prepare_image(
    image: ImageLike, size: int, how: Resizing = "crop", value_range: Range | None = None
) -> Pixels:
    """Reads one image straight to a square, decoding a large JPEG at a reduced size.

    Args:
        image: As `read_image` takes it.
        size: Side of the square, in pixels, at least 1.
        how: See `resize_image`.
        value_range: As `read_image` takes it.

    Returns:
        uint8 [size, size, 3].

    Raises:
        InputError: As `read_image` does.
    """
    return prepared(image, size, how, value_range)[0]


def prepared(
    image: ImageLike, size: int, how: Resizing, value_range: Range | None
) -> tuple[Pixels, float]:
    """What `prepare_image` gives, and the greatest value that was found, or 0 if it has 8 bits."""
    read = _decode(image, value_range, draft_side=DRAFT_MARGIN * size)
    return resize_image(read.image, size, how), read.peak


def resize_image(image: Pixels | Image.Image, size: int, how: Resizing = "crop") -> Pixels:
    """Resizes an image to a square, antialiased.

    Args:
        image: uint8 [H, W, 3], or an RGB image of Pillow's.
        size: Side of the square, in pixels, at least 1.
        how: "crop" brings the shorter side to `size` and cuts the middle out, "pad" brings the
            longer side to `size` and fills up with ImageNet's mean colour, "stretch" changes the
            aspect ratio.

    Returns:
        uint8 [size, size, 3].
    """
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    square = (size, size)
    if how == "crop":
        drawn = ImageOps.fit(drawn, square, FILTER)
    elif how == "pad":
        drawn = ImageOps.pad(drawn, square, FILTER, color=PADDING)
    elif how == "stretch":
        drawn = drawn.resize(square, FILTER)
    else:
        raise InputError(f'resize = "{how}": expected "crop", "pad" or "stretch".')
    return np.array(drawn)  # [size, size, 3]


def _decode(
    image: ImageLike, value_range: Range | None = None, draft_side: int | None = None
) -> Read:
    if isinstance(image, np.ndarray):
        return Read(_from_array(image))
    if isinstance(image, Image.Image):
        return _from_pillow(image, value_range)
    expect(image, IMAGE_TYPES, "image")
    name = f"image of {len(image):,} bytes" if isinstance(image, bytes) else f'"{shown(image)}"'
    try:
        with BytesIO(image) if isinstance(image, bytes) else open_file(image) as file:
            try:
                return _read(file, value_range, draft_side)
            except Exception:
                file.seek(0)
                if file.read(len(SIGNATURE)) != SIGNATURE:
                    raise
                lean = BytesIO(without_notes(file.read()))
                return _read(lean, value_range, draft_side)
    except Exception as error:  # the decoders raise anything, from struct.error to SyntaxError
        raise ImageError(name, _reason(image, error), _what_to_do(image)) from error


def _read(file: BinaryIO, value_range: Range | None, draft_side: int | None) -> Read:
    with Image.open(file, formats=_formats(file)) as image:
        _check_pixels(image)
        if draft_side:
            image.draft(None, (draft_side, draft_side))  # of JPEG alone
        depth = bits(image)  # which loading forgets
        image.load()  # verify() would not notice a cut-off JPEG
        return _upright(image, depth, value_range)


def _formats(file: BinaryIO) -> tuple[str, ...]:
    """The formats that a file may be in; HEIC is asked for only where it is met."""
    start = file.read(_START)
    file.seek(0)
    if not is_heic(start):
        return FORMATS
    let_pillow_read_it()
    return (HEIF,)


def _upright(image: Image.Image, depth: int, value_range: Range | None) -> Read:
    _turn_upright(image)
    read = to_8_bits(image, depth, value_range)
    return read._replace(image=_to_rgb(read.image))


def _turn_upright(image: Image.Image) -> None:
    """As the EXIF orientation says, which is read; the rest of it may be what nobody can write."""
    image.getexif()
    for notes in ("exif", "Raw profile type exif"):
        image.info.pop(notes, None)  # else they are written anew
    ImageOps.exif_transpose(image, in_place=True)


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
        return f'Name the images in it, such as "{shown(image)}"/*.'
    if not isinstance(image, bytes) and not os.path.lexists(image):
        return "Look for a slip in its name, or in that of a folder on the way to it."
    return (
        "Expected a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC image of at most "
        f"{MAX_PIXELS:,} pixels; repair, replace or remove it."
    )


def _what_it_is(image: str | os.PathLike[str] | bytes) -> str:
    """What a file is that is no image."""
    if isinstance(image, bytes):
        start = image[:_START]
    else:
        with open_file(image) as file:
            start = file.read(_START)
    if not start:
        return "it is empty"
    if brands(start) & AVIF and not features.check("avif"):
        install = pip_install("--upgrade", "pillow")
        return f"it is AVIF, which Pillow was built without here; `{install}` has it"
    page = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html"))
    return "it is a web page" if page else "it is in none of the formats that are read"


def _from_array(array: Pixels) -> Image.Image:
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    color = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (grey or color) or array.size == 0:
        raise InputError(
            "cannot use an array as an image: expected uint8 of shape [H, W, 3], [H, W, 1] or "
            f"[H, W], none of them 0; got {array.dtype} of shape {list(array.shape)}."
        )
    return Image.fromarray(array.reshape(array.shape[:2]) if grey else array).convert("RGB")


def _from_pillow(image: Image.Image, value_range: Range | None) -> Read:
    """The caller's own image stays as it is, and open."""
    try:
        _check_pixels(image)
        depth = bits(image)
        return _upright(image.copy(), depth, value_range)
    except Exception as error:  # it may be open on a damaged file
        raise InputError(f"cannot read a Pillow image: {error or type(error).__name__}.") from error


def _check_pixels(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"it claims {width:,} x {height:,} pixels")


def _to_rgb(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
