"""HEIC and AVIF: what phones keep photographs in."""

import base64
import io
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, read_image
from kerascnn.engine.data import heic
from kerascnn.engine.data.preparation import Preparation

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
    heic.register_heic.cache_clear()
    yield
    heic.register_heic.cache_clear()


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
    assert heic.is_heic(start) == expected
