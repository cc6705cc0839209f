"""Any image that Pillow or a camera writes: modes, bit depths, profiles, notes, sizes of chunks."""

import io
import struct
import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from kerascnn.engine.data.decoding.images import read_image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's colour types
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(kind, data):
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def packed_rows(values, depth):
    """Values int [H, W, C] as the rows of a PNG, each behind filter 0."""
    height = len(values)
    if depth == 16:
        rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def notes(size):
    """Chunks before the pixels that say nothing of them; Pillow refuses some of the large ones."""
    text = bytes(size)
    packed = zlib.compress(text)
    yield chunk(b"iCCP", b"camera\0\0" + packed)
    yield chunk(b"zTXt", b"Comment\0\0" + packed)
    yield chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed)
    yield chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text)
    yield chunk(b"tEXt", b"Comment\0" + text)
    yield chunk(b"prVt", text)


NOTES = st.sampled_from(
    [
        b"",
        chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB)),
        chunk(b"gAMA", struct.pack(">I", 45455)),
        chunk(b"sBIT", b"\5"),
        *(note for size in (0, 10, 1_100_000) for note in notes(size)),
    ]
)


@st.composite
def pngs(draw):
    """A PNG and what a person would see in it, float [H, W, 3]."""
    colour = draw(st.sampled_from(list(DEPTHS)))
    depth = draw(st.sampled_from(DEPTHS[colour]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(0, 2**depth, (height, width, CHANNELS[colour]))
    palette = rng.integers(0, 256, (2**depth, 3)) if colour == 3 else None
    size = draw(st.integers(1, 40))  # of the chunks of pixels
    data = zlib.compress(packed_rows(values, depth))
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        draw(NOTES),
        draw(NOTES),
        b"" if palette is None else chunk(b"PLTE", palette.astype(np.uint8).tobytes()),
        *(chunk(b"IDAT", piece) for piece in pieces),
        chunk(b"tIME", struct.pack(">HBBBBB", 2024, 1, 1, 0, 0, 0)),
        chunk(b"IEND", b""),
    ]
    return SIGNATURE + b"".join(parts), seen(values, depth, colour, palette)


def seen(values, depth, colour, palette):
    if colour == 3:
        return palette[values[..., 0]].astype(float)
    scaled = values * (255 / (2**depth - 1))
    if colour in (4, 6):  # on white
        opacity = scaled[..., -1:] / 255
        scaled = scaled[..., :-1] * opacity + 255 * (1 - opacity)
    return np.broadcast_to(scaled, (*values.shape[:2], 3))


@given(pngs())
@settings(max_examples=40, deadline=None)
def test_any_png_is_read_as_a_person_sees_it(png):
    content, expected = png
    # of 16 bits Pillow cuts the lower 8 off, in colours and in transparency
    np.testing.assert_allclose(read_image(content), expected, atol=2.6)


MODES = {  # which formats hold such an image without loss
    "1": ("PNG", "TIFF", "BMP", "GIF", "PPM"),
    "L": ("PNG", "TIFF", "BMP", "GIF", "PPM", "WEBP"),
    "P": ("PNG", "TIFF", "BMP", "GIF"),
    "LA": ("PNG", "TIFF"),
    "RGB": ("PNG", "TIFF", "BMP", "PPM", "WEBP"),
    "RGBA": ("PNG", "TIFF", "WEBP"),
    "CMYK": ("TIFF",),
    "I;16": ("PNG", "TIFF", "PPM"),
    "I": ("TIFF",),
    "F": ("TIFF",),
}


@st.composite
def files(draw):
    """An encoded image, its range where it needs one, and what a person would see in it."""
    mode = draw(st.sampled_from(list(MODES)))
    kind = draw(st.sampled_from(MODES[mode]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rgba = rng.integers(0, 256, (height, width, 4), np.uint8)
    image, value_range = in_mode(mode, rgba, draw(st.booleans()))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    if kind == "TIFF":
        options["compression"] = draw(
            st.sampled_from(["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
        )
    if kind in ("PNG", "TIFF", "WEBP") and draw(st.booleans()):
        options["icc_profile"] = SRGB
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue(), value_range, on_white(image, rgba, mode)


def in_mode(mode, rgba, ranged):
    """An image of a mode, and a range: where it needs one or one is drawn."""
    grey = rgba[..., 0]
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257), None
    if mode == "I":
        return (
            (Image.fromarray(grey.astype(np.int32)), (0, 255))
            if ranged
            else (
                Image.fromarray(grey.astype(np.int32) * 257),
                None,
            )
        )
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255), (0, 1)
    image = Image.fromarray(rgba if "A" in mode else rgba[..., :3])
    return image if image.mode == mode else image.convert(mode), (0, 9) if ranged else None


def on_white(image, rgba, mode):
    if mode in ("I;16", "I", "F"):
        return np.repeat(rgba[..., :1], 3, 2).astype(float)
    if "A" not in mode:
        return np.asarray(image.convert("RGB"), float)
    values = np.asarray(image.convert("RGBA"), float)
    opacity = values[..., 3:] / 255
    return values[..., :3] * opacity + 255 * (1 - opacity)


@given(files())
@settings(max_examples=60, deadline=None)
def test_any_mode_is_read_as_a_person_sees_it(file):
    content, value_range, expected = file
    pixels = read_image(content, value_range)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, expected, atol=1.01)
