"""HEIC and AVIF, what phones keep photographs in, and PNG whose notes are large or at fault."""

import base64
import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, read_image
from kerascnn.engine.data.decoding import formats
from kerascnn.engine.data.decoding.formats import PNG_SIGNATURE
from kerascnn.engine.data.decoding.preparation import Preparation

# 64 x 32 pixels of red, green; blue, white, stored turned by 90 degrees with both the `irot` of
# HEIF and the EXIF orientation that say so, as an iPhone does it. Made with pillow-heif 1.8.1.
UPRIGHT_ONLY_ONCE = zlib.decompress(
    base64.b85decode(
        "c-"
        "muNV30{GsVvAy%}izhg51nBLl8SRGck>Uf$>CcYDppk1Sn>t<P<^K3<a6VB@Af5Br_);Y>0~k0}}%yh{gB@LIc4x"
        "pcoJ^HNizxfY>54GcOIy1Ida4IjLY}Ks6a<$%YI_f{Y*~t`(VJ<$ML1CAkbxm5l6}1w{ow_Or}_<a{7q2Gr}!$P5"
        "yi09GXTf#J{JA3qov_?Z)cIwTwzc^Loy2Pt3%sbB^nxm`>Si9ks$Cq_mznFR`stkYgSS+;WrM}~m{P>2~sFeoMgm"
        "9x1p9xOi43A98wIX|Z;FFB_ID9X#g)&LX|$t*5Ng?iTkiZzmR5<xCgfH)p326W8-2hc!(1%^ODW<@55!_2|K0i-"
        "xHi}Fi=?qQJ3EXajL3L^s}TO$)QYfBrDBb8Z{ng*5NOHL_H21f(PjzhUAiJ<tJq`|nJ?}14ZPssDDUHAXLDXstir"
        "QqdH{`Y}=)4wu_+<&d(DXM?n`Z?FV?H4xRf4SnU+N_IjU+xTeoUrbn=&Rj@S3X`h7Fxve-=+Q0JJ!B{G>-"
        "U{36rl(xM_cz^NF4N^!{I2pKP=L?fu;UE7ZN-"
        "PXFyOr413x`)*1;ifs9JG5PxWxf$W%bF;tPI=ndUR*LGij7x9+0A0lfiB(@;1}z|ugMpDz2o&(3z=e1Q0Ix2osQ"
    )
)
CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


@pytest.fixture
def without_pi_heif(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    formats.register_heic.cache_clear()
    yield
    formats.register_heic.cache_clear()


def at_corners(pixels):
    return [tuple(pixels[y, x].tolist()) for y in (4, -4) for x in (4, -4)]


def test_heic_is_upright(tmp_path):
    pytest.importorskip("pi_heif")
    file = tmp_path / "IMG_1.HEIC"
    file.write_bytes(UPRIGHT_ONLY_ONCE)
    for pixels in (read_image(file), Preparation(64, resize="stretch").prepare(UPRIGHT_ONLY_ONCE)):
        np.testing.assert_allclose(at_corners(pixels), CORNERS, atol=3)
    assert read_image(file).shape == (32, 64, 3)


@pytest.mark.parametrize("cut", [40, 300, 600])
def test_a_heic_that_is_cut_off_is_named(tmp_path, cut):
    pytest.importorskip("pi_heif")
    (tmp_path / "cut.heic").write_bytes(UPRIGHT_ONLY_ONCE[:cut])
    with pytest.raises(InputError, match=r"cannot read .*cut\.heic"):
        read_image(tmp_path / "cut.heic")


def test_a_missing_decoder_is_named(tmp_path, without_pi_heif):
    file = tmp_path / "IMG_1.HEIC"
    file.write_bytes(UPRIGHT_ONLY_ONCE)
    with pytest.raises(InputError, match=r"IMG_1.* it is HEIC, .* install 'kerascnn\[heic\]'`"):
        read_image(file)


def test_the_package_is_not_imported_for_other_formats(without_pi_heif):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "AVIF")
    assert read_image(buffer.getvalue()).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", True),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", True),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", False),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1heic", False),
        (b"\0\0\0\x14ftypisom\0\0\0\0mp42heic", False),  # what follows the box is no brand
        (b"ftypheic", False),
        (b"", False),
    ],
)
def test_heic_is_told_from_what_is_packed_alike(start, expected):
    assert formats.is_heic(start) == expected


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
    at, last = len(PNG_SIGNATURE) + 25, len(png) - 12
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
        read_image(PNG_SIGNATURE + b"\0\0\0\1")
