"""Every kind of image comes out as a person would see it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, read_image
from kerascnn.engine.data.decoding import images
from kerascnn.engine.data.decoding.preparation import PADDING, Preparation, resize_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners():
    """Red, green; blue, white; twice as wide as high."""
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :32], pixels[:16, 32:], pixels[16:, :32], pixels[16:, 32:] = RED, GREEN, BLUE, WHITE
    return pixels


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def at_corners(pixels):
    return [tuple(pixels[y, x].tolist()) for y in (4, -4) for x in (4, -4)]


# What the camera must have stored for orientation 1 to 8 to bring `corners` about (EXIF 2.3).
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: x.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_orientation_is_applied(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](corners())))
    options = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    }.get(kind, {"lossless": True})
    pixels = read_image(encode(stored, kind, exif=exif, **options))
    assert pixels.shape == (32, 64, 3)
    np.testing.assert_allclose(at_corners(pixels), [RED, GREEN, BLUE, WHITE], atol=4)


def test_a_note_that_cannot_be_written_does_not_keep_a_image_from_being_turned():
    def entry(tag, kind, value):
        return struct.pack("<HHII", tag, kind, 1, value)

    width_as_text, orientation = entry(0x0100, 2, ord("7")), entry(0x0112, 3, 6)
    entries = struct.pack("<H", 2) + width_as_text + orientation + struct.pack("<I", 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entries
    stored = Image.fromarray(np.ascontiguousarray(STORED[6](corners())))
    pixels = read_image(encode(stored, "JPEG", quality=95, subsampling=0, exif=exif))
    np.testing.assert_allclose(at_corners(pixels), [RED, GREEN, BLUE, WHITE], atol=4)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_colours_are_exact(kind):
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(corners()), kind)), corners())


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind):
    pixels = read_image(encode(Image.fromarray(corners()).convert("CMYK"), kind))
    np.testing.assert_allclose(at_corners(pixels), [RED, GREEN, BLUE, WHITE], atol=6)


def test_grey():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = read_image(encode(Image.fromarray(ramp), "PNG"))
    np.testing.assert_array_equal(pixels, np.repeat(ramp[..., None], 3, axis=2))


def test_one_bit():
    pixels = read_image(encode(Image.fromarray(corners()).convert("1"), "PNG"))
    assert at_corners(pixels)[3] == WHITE
    assert set(np.unique(pixels)) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_and_not_clipped(kind):
    values = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    pixels = read_image(encode(Image.fromarray(values), kind))
    np.testing.assert_array_equal(pixels[..., 0].ravel(), np.arange(256))


def test_16_bits_are_rounded():
    png = encode(Image.fromarray(np.array([[128, 129, 65535 - 129]], np.uint16)), "PNG")
    assert read_image(png)[0, :, 0].tolist() == [0, 1, 254]


def test_floating_point_is_refused():
    image = Image.fromarray(np.zeros((4, 4), np.float32))
    with pytest.raises(InputError, match="floating-point"):
        read_image(encode(image, "TIFF"))


def test_values_beyond_16_bits_are_refused():
    image = Image.fromarray(np.full((4, 4), 70_000, np.int32))
    with pytest.raises(InputError, match="70000"):
        read_image(encode(image, "TIFF"))


def test_palette():
    image = Image.fromarray(corners()).quantize(4)
    np.testing.assert_array_equal(read_image(encode(image, "PNG")), corners())


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_transparency_lies_on_white(kind):
    image = Image.fromarray(corners()).quantize(4)
    transparent = image.getpixel((0, 0))
    pixels = read_image(encode(image, kind, transparency=transparent))
    assert at_corners(pixels) == [WHITE, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_half_transparent_red_is_pink(kind):
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_allclose(read_image(encode(image, kind, **options))[0, 0], (255, 127, 127))


def test_transparent_grey_is_light():
    image = Image.new("LA", (8, 8), (0, 51))
    assert read_image(encode(image, "PNG"))[0, 0].tolist() == [204, 204, 204]


def test_transparent_colour_key():
    png = encode(Image.fromarray(corners()), "PNG", transparency=BLUE)
    assert at_corners(read_image(png)) == [RED, GREEN, WHITE, WHITE]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(kind):
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), BLUE)
    animation = encode(first, kind, save_all=True, append_images=[second])
    np.testing.assert_allclose(read_image(animation)[8, 8], RED, atol=3)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_grey_arrays(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    expected = np.broadcast_to(array.reshape(5, 7, 1), (5, 7, 3))
    np.testing.assert_array_equal(read_image(array), expected)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
    ids=["float", "four channels", "empty"],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(InputError, match=r"expected uint8 of shape \[H, W, 3\]"):
        read_image(array)


def test_paths_and_bytes_are_the_same(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(corners()), "PNG"))
    for image in (path, str(path), path.read_bytes()):
        np.testing.assert_array_equal(read_image(image), corners())


def test_a_truncated_jpeg_is_named(tmp_path):
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path.write_bytes(encode(Image.fromarray(noise), "JPEG")[:-900])
    with pytest.raises(InputError, match=r"cut\.jpg.*truncated"):
        read_image(path)
    with pytest.raises(InputError, match=r"cut\.jpg.*truncated"):
        Preparation(8).prepare(path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read .*odd\.png"):
        read_image(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.jpg.*no such file"):
        read_image(tmp_path / "gone.jpg")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(InputError, match="10,000 x 10,000 pixels"),
    ):
        read_image(bomb)


def test_the_pixel_limit_is_where_pillow_warns():
    assert images.MAX_PIXELS == Image.MAX_IMAGE_PIXELS


def test_crop_takes_the_middle():
    wide = np.concatenate([np.full((20, 20, 3), v, np.uint8) for v in (0, 100, 200)], axis=1)
    assert np.unique(resize_image(wide, 20, "crop")).tolist() == [100]
    assert np.unique(resize_image(wide.transpose(1, 0, 2).copy(), 20)).tolist() == [100]


def test_pad_keeps_all_of_it():
    pixels = resize_image(corners(), 64, "pad")
    np.testing.assert_array_equal(pixels[16:48], corners())
    assert np.unique(pixels[:16].reshape(-1, 3), axis=0).tolist() == [list(PADDING)]


def test_stretch_keeps_all_of_it():
    assert at_corners(resize_image(corners(), 64, "stretch")) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(1, 300, 3), (300, 1, 3), (3, 5, 3), (400, 300, 3)])
def test_every_shape_becomes_the_square(how, shape):
    pixels = Preparation(24, resize=how).prepare(np.full(shape, 9, np.uint8))
    assert pixels.shape == (24, 24, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable


def test_an_unknown_way_to_resize_is_refused():
    with pytest.raises(InputError, match='"crop", "pad" or "stretch"'):
        resize_image(corners(), 8, "squeeze")


def test_shrinking_is_antialiased():
    checkers = np.indices((256, 256)).sum(0) % 2 * 255
    pixels = Preparation(32).prepare(checkers.astype(np.uint8))
    np.testing.assert_allclose(pixels, 127.5, atol=2)


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same():
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8))
    jpeg = encode(coarse.resize((1600, 1200), Image.Resampling.BICUBIC), "JPEG", quality=95)
    assert images.decode(jpeg, draft_side=128).image.size == (200, 150)  # an eighth
    assert images.decode(jpeg, draft_side=500).image.size == (
        800,
        600,
    )  # not less than was asked for
    fast, exact = Preparation(64).prepare(jpeg), resize_image(read_image(jpeg), 64)
    assert np.abs(fast.astype(int) - exact).mean() < 1.5


def test_a_large_turned_jpeg_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(corners()).copy()).resize(
        (400, 800), Image.Resampling.NEAREST
    )
    pixels = Preparation(40, resize="stretch").prepare(
        encode(turned, "JPEG", exif=exif, quality=95)
    )
    np.testing.assert_allclose(at_corners(pixels), [RED, GREEN, BLUE, WHITE], atol=6)
