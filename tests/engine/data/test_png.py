"""PNG files whose notes are large, or at fault, and whose pixels are good."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, read_image
from kerascnn.engine.data.png import SIGNATURE

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
MILLION = 10**6


def encode(pixels=PIXELS, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(kind, data, checksum=None):
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunks(*chunks, end=b"", png=None):
    """Such chunks after the header, or before the end."""
    png = png or encode()
    at, last = len(SIGNATURE) + 25, len(png) - 12
    return png[:at] + b"".join(chunks) + png[at:last] + end + png[last:]


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return chunk(b"eXIf", exif.tobytes()[6:])


PROFILE = chunk(b"iCCP", b"camera\0\0" + zlib.compress(bytes(2 * MILLION)))
XMP = b"XML:com.adobe.xmp\0"


@pytest.mark.parametrize(
    "png",
    [
        with_chunks(PROFILE),
        with_chunks(chunk(b"iTXt", XMP + b"\1\0\0\0" + zlib.compress(b" " * 2 * MILLION))),
        with_chunks(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * 2 * MILLION))),
        with_chunks(end=chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * 2 * MILLION))),
        with_chunks(chunk(b"zTXt", b"Comment\0\7" + b"packed in another way")),
        with_chunks(chunk(b"tEXt", b"Comment\0with a wrong checksum", 0)),
    ],
    ids=["ICC", "XMP", "zTXt", "at the end", "method", "checksum"],
)
def test_notes_do_not_keep_pixels_from_being_read(png, tmp_path):
    np.testing.assert_array_equal(read_image(png), PIXELS)
    (tmp_path / "a.png").write_bytes(png)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PIXELS)


def test_many_notes(monkeypatch):
    monkeypatch.setattr("PIL.PngImagePlugin.MAX_TEXT_MEMORY", 10_000)
    png = with_chunks(*[chunk(b"tEXt", b"Comment\0" + bytes(1000))] * 20)
    np.testing.assert_array_equal(read_image(png), PIXELS)


def test_orientation_and_transparency_hold_without_the_notes():
    upright = PIXELS.transpose(1, 0, 2)[::-1]
    png = with_chunks(PROFILE, orientation(8))
    np.testing.assert_array_equal(read_image(png), upright)
    xmp = chunk(b"iTXt", XMP + b'\0\0\0\0<x tiff:Orientation="8"/>')
    np.testing.assert_array_equal(read_image(with_chunks(PROFILE, xmp)), upright)
    clear = encode(transparency=tuple(PIXELS[0, 0].tolist()))
    assert read_image(with_chunks(PROFILE, png=clear))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "bomb",
    [
        chunk(b"iCCP", b"camera\0\0" + zlib.compress(bytes(200 * MILLION))),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(200 * MILLION))),
        chunk(b"iTXt", XMP + b"\1\0\0\0" + zlib.compress(bytes(200 * MILLION))),
    ],
    ids=["ICC", "EXIF", "XMP"],
)
def test_a_bomb_in_the_notes_is_never_unpacked(bomb):
    png = with_chunks(bomb)
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(read_image(png), PIXELS)
        assert tracemalloc.get_traced_memory()[1] < 5 * MILLION
    finally:
        tracemalloc.stop()


def test_pixels_that_are_at_fault_are_still_told():
    with pytest.raises(InputError, match=r"truncated|broken|IDAT"):
        read_image(with_chunks(PROFILE)[:-40])
    with pytest.raises(InputError, match="cannot read"):
        read_image(SIGNATURE + b"\0\0\0\1")
