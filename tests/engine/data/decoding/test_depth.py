"""Images with more than 8 bits a value, of which a camera or a microscope may use a part."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, evaluate_run, read_image
from kerascnn.engine.load import examine, load_data
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.inference.predict import read_images

TWELVE = (np.arange(64, dtype=np.uint16) * 65).reshape(8, 8)  # 0 to 4,095
GREY = (np.arange(64) * 255 / 63).reshape(8, 8)  # what they stand for


def encode(values, kind="TIFF"):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


def tiff(width, height, bits, photometric, data):
    """An uncompressed grey TIFF: what Pillow does not write."""
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 122)]
    tags += [(277, 1), (278, height), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + data


def packed_12(values):
    """Two values in three bytes."""
    first, second = values.ravel()[::2].astype(int), values.ravel()[1::2].astype(int)
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8)


@pytest.mark.parametrize(
    ("content", "value_range"),
    [
        (encode(TWELVE), (0, 4095)),
        (encode(TWELVE, "PNG"), (0, 4095)),
        (encode(TWELVE.astype(np.int32)), (0, 4095)),
        (encode(TWELVE.astype(np.int32) // 65), (0, 63)),
        (encode((TWELVE / 4095).astype(np.float32)), (0, 1)),
        (encode((TWELVE / 4095 - 3).astype(np.float32)), (-3, -2)),
        (tiff(8, 8, 12, 1, packed_12(TWELVE).tobytes()), (0, 4095)),
        (tiff(8, 8, 12, 1, packed_12(TWELVE).tobytes()), None),  # the file says how many bits
        (tiff(8, 8, 16, 0, (4095 - TWELVE).tobytes()), (0, 4095)),  # 0 is white
        (tiff(8, 8, 16, 0, (65535 - np.round(GREY * 257)).astype("<u2").tobytes()), None),
    ],
)
def test_a_range_is_read_as_it_is_meant(content, value_range):
    pixels = read_image(content, value_range)
    np.testing.assert_allclose(pixels, np.repeat(GREY[..., None], 3, 2), atol=0.51)


def test_values_outside_of_the_range_are_black_and_white():
    pixels = read_image(encode(np.array([[-9, 0, 50, 100, 999]], np.int32)), (0, 100))
    assert pixels[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_8_bits_are_as_they_are():
    """Of a dataset that has both."""
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read_image(encode(values), (0, 4095))[..., 0], values)


def test_16_bit_colours():
    rgb = np.stack([np.full((4, 4), value) for value in (4095, 2048, 0)], 2)
    header = b"P6 4 4 65535\n"
    ppm = read_image(header + rgb.astype(">u2").tobytes())  # whose bits Pillow reads by itself
    assert ppm[0, 0].tolist() == [16, 8, 0]
    data = rgb.astype("<u2").tobytes()
    content = tiff(4, 4, 16, 2, data).replace(
        struct.pack("<HHII", 277, 3, 1, 1), struct.pack("<HHII", 277, 3, 1, 3)
    )
    np.testing.assert_allclose(read_image(content)[0, 0], [15, 8, 0], atol=1)
    np.testing.assert_allclose(read_image(content, (0, 4095))[0, 0], [240, 128, 0], atol=1)


@pytest.mark.parametrize(
    "values",
    [np.zeros((4, 4), np.float32), np.full((4, 4), -1, np.int32), np.full((4, 4), 70_000, "i4")],
    ids=["float", "negative", "beyond 16 bits"],
)
def test_what_has_no_range_is_refused_with_the_setting(values):
    with pytest.raises(InputError, match=r"training\.value_range = \[0, 1\]"):
        read_image(encode(values))
    read_image(encode(values), (-1, 100_000))


def test_what_is_no_number_is_refused():
    with pytest.raises(InputError, match="NaN or infinite"):
        read_image(encode(np.full((4, 4), np.nan, np.float32)), (0, 1))


@pytest.fixture
def microscope(tmp_path):
    """Twelve 12-bit images of two classes and an ordinary one."""
    rng = np.random.default_rng(0)
    for name in ("cell", "dust"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            values = rng.integers(0, 4000, (16, 16), np.uint16)
            Image.fromarray(values).save(tmp_path / "photos" / name / f"{number}.tif")
    Image.fromarray(np.full((16, 16), 9, np.uint8)).save(tmp_path / "photos" / "cell" / "8.png")
    return tmp_path / "photos"


def load(folder, registry, shapes_experiment, **training):
    said = []

    class Heard(Observer):
        def warned(self, message):
            said.append(message)

    experiment = {
        **shapes_experiment,
        "dataset": {"name": "image_folder", "path": str(folder)},
        "training": {**shapes_experiment["training"], **training},
    }
    bound = bind_experiment(experiment, registry)
    data = load_data(bound, Observer())
    found = examine(data, bound, Heard()).findings
    notes = [note for note in said if "8 bits" in note]
    assert found.to_json()["depth"] == notes
    return data, notes


def test_a_range_that_is_used_to_a_small_part_is_told(microscope, registry, shapes_experiment):
    _, (note,) = load(microscope, registry, shapes_experiment)
    assert note.startswith("12 images with more than 8 bits per value: the highest value is 3,99")
    assert ".tif. If 4095 is white in these images, set training.value_range = [0, 4095]." in note
    data, notes = load(microscope, registry, shapes_experiment, value_range=[0, 4095])
    assert notes == []
    assert data.train.images[:].mean() > 100
    _, (note,) = load(microscope, registry, shapes_experiment, value_range=[0, 255])
    assert note.startswith("12 images with more than 8 bits per value: values above 255 become")


def test_a_full_range_is_no_finding(microscope, registry, shapes_experiment):
    for file in microscope.rglob("*.tif"):
        Image.fromarray(np.asarray(Image.open(file)) * np.uint16(16)).save(file)
    assert load(microscope, registry, shapes_experiment)[1] == []


def test_a_run_reads_others_as_its_own(
    microscope, registry, shapes_experiment, written_run, monkeypatch
):
    training = {"value_range": [0, 4095]}
    data, _ = load(microscope, registry, shapes_experiment, **training)
    result = written_run("a", [1, 1], training=training)
    result.class_names[:] = data.class_names
    files = [data.train.source[row][0] for row in range(len(data.train))]
    np.testing.assert_array_equal(read_images(files, result), data.train.images[:])

    def looked_at(result, images, *_):
        assert {image.tobytes() for image in data.train.images[:]} <= {
            image.tobytes() for image in images[:]
        }
        return np.tile(np.float32([0.2, 0.8]), (len(images), 1)), None, ""

    monkeypatch.setattr("kerascnn.results.inference.evaluate.outputs_of", looked_at)
    assert evaluate_run(result, microscope).images == 13
