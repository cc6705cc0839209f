"""Bad images and copies: every kind of them, planted among good ones, is found and named."""

import io
import json
import os
import socket
import struct
import threading
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from kerascnn import InputError
from kerascnn.engine.data.decoding import hashes
from kerascnn.engine.data.decoding.hashes import perceptual_hash
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.hygiene import copies, findings
from kerascnn.engine.data.hygiene.copies import equal_groups, near_pairs
from kerascnn.engine.data.store import stream
from kerascnn.engine.data.store.pack import pack
from kerascnn.engine.load import examine, load_data
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment

SIZE = 32
CLASSES = ("daisy", "rose")


def photo(number, side=64):
    """An image unlike any other, smooth as photographs are."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    return coarse.resize((side * 4 // 3, side), Image.Resampling.BICUBIC)


def encoded(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height):
    """A PNG that claims a size and holds next to nothing."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99))


GOOD = encoded(photo(999))


def cut(share):
    return GOOD[: max(1, int(len(GOOD) * share))]


def as_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket may have no more than 108 bytes
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


# What is planted under the name, and what is said of it.
BAD = {
    "empty.jpg": (b"", "it is empty"),
    "cut01.jpg": (cut(0.01), "Truncated File Read"),
    "cut50.jpg": (cut(0.5), "truncated"),
    "cut99.jpg": (cut(0.99), "truncated"),
    "page.jpg": (b"\xef\xbb\xbf\n<!DOCTYPE html><html>404</html>", "it is a web page"),
    "text.png": (b"no image at all", "its format is not supported"),
    "program.jpg": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "it is PostScript",
    ),
    "bomb.png": (png_of(30_000, 30_000), "more than 89,478,485 pixels"),
    "large.png": (png_of(10_000, 10_000), "10,000 x 10,000 pixels"),
    "nothing.png": (png_of(0, 9), "its format is not supported"),
    "folder.jpg": (Path.mkdir, "it is a folder"),
    "dangling.jpg": (lambda path: path.symlink_to(path.with_name("gone")), "a broken link"),
    "loop.jpg": (lambda path: path.symlink_to(path), "a link to itself"),
    "outside.jpg": (lambda path: path.symlink_to("/etc/hostname"), "a link that leads out of"),
    "pipe.jpg": (os.mkfifo, "it is not a regular file"),
    "socket.jpg": (as_socket, "no such device|not a regular file"),
    "two\nlines.jpg": (b"", "it is empty"),
    os.fsdecode(b"latin\xff.jpg"): (b"", "it is empty"),
}
if os.name != "nt" and os.geteuid():
    BAD["locked.jpg"] = (lambda path: path.touch(0), "permission denied")


def plant(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else content(path)


# What is odd and no fault: read as a person would see it.
ODD = {
    "wrong.png": GOOD,
    "cmyk.jpg": encoded(photo(501).convert("CMYK")),
    "grey.jpg": encoded(photo(502).convert("L")),
    "sixteen.png": encoded(
        Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16), "PNG"
    ),
    "palette.gif": encoded(photo(503).quantize(16), "GIF", transparency=0),
    "alpha.png": encoded(photo(504).convert("RGBA"), "PNG"),
    "animated.webp": encoded(photo(505), "WEBP", save_all=True, append_images=[photo(506)]),
    "same.jpg": encoded(photo(507)),
    "SAME.JPG": encoded(photo(508)),
    "longer.jpg": encoded(photo(511)) + b"what follows the end of the image",
    "a name\nof lines.jpg": encoded(photo(509)),
    os.fsdecode(b"name\xff.jpg"): encoded(photo(510)),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """Thirty good images of each of two classes."""
    for label, name in enumerate(CLASSES):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            photo(100 * label + number).save(tmp_path / "photos" / name / f"{number:02d}.jpg")
    return tmp_path / "photos"


class Notes(Observer):
    def __init__(self):
        self.said = []

    def warned(self, message):
        self.said.append(message)

    def __str__(self):
        return "\n".join(self.said)


def load(registry, folder, **training):
    """The data of an experiment on a folder, and the notes that were made."""
    experiment = {
        "name": "hygiene",
        "dataset": {"name": "image_folder", "path": str(folder)},
        "architecture": "sequential_cnn",
        "training": {"image_size": SIZE, "batch_size": 8, **training},
        "stages": [{"name": "all", "epochs": 1, "learning_rate": 1e-3}],
    }
    notes = Notes()
    bound = bind_experiment(experiment, registry)
    data = load_data(bound, notes)
    notes.findings = examine(data, bound, notes).findings
    return data, notes


def planted(folder, files):
    for number, (name, content) in enumerate(files.items()):
        plant(folder / CLASSES[number % 2] / name, content)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_named_with_what_is_wrong(folder, registry, name):
    content, said = BAD[name]
    planted(folder, {name: content})
    with pytest.raises(InputError, match=said) as caught:
        load(registry, folder)
    first, line, last = str(caught.value).splitlines()
    assert first == "1 image cannot be read:"
    assert line.isprintable()
    assert name.encode("unicode_escape").decode() in line.replace("\\\\", "\\")
    assert 'training.on_bad_image = "skip"' in last


def test_all_bad_images_of_all_splits_are_named_in_one_message(folder, registry):
    planted(folder, {name: content for name, (content, _) in BAD.items()})
    with pytest.raises(InputError) as caught:
        load(registry, folder)
    message = str(caught.value)
    assert message.startswith(f"{len(BAD)} images cannot be read:")
    for name in BAD:
        assert name.encode("unicode_escape").decode() in message, name


def test_bad_images_are_left_out_if_the_experiment_says_so(folder, registry):
    clean, _ = load(registry, folder)
    planted(folder, {name: content for name, (content, _) in BAD.items()})
    data, notes = load(registry, folder, on_bad_image="skip")
    assert notes.findings.counts["skipped"] == len(BAD)
    assert f"{len(BAD)} images left out" in str(notes)
    assert sum(map(len, data.splits().values())) == 60
    for name, packed in data.splits().items():
        paths = [Path(packed.name(row)) for row in range(len(packed))]
        assert not {path.name for path in paths} & set(BAD)
        for row, path in enumerate(paths):
            np.testing.assert_array_equal(packed.images[row], Preparation(SIZE).prepare(path))
            assert CLASSES[packed.labels[row]] == path.parent.name
        assert packed.fingerprint != clean.splits()[name].fingerprint or not packed.skipped


def test_what_was_skipped_is_known_the_second_time_and_refused_where_it_is_an_error(
    folder, registry, monkeypatch
):
    planted(folder, {"empty.jpg": b"", "page.jpg": b"<html>"})
    first, before = load(registry, folder, on_bad_image="skip")
    real = Preparation.with_peak

    def refused(self, image, *known):
        assert Path(image).name in ("empty.jpg", "page.jpg")  # which are tried again
        return real(self, image, *known)

    monkeypatch.setattr(Preparation, "with_peak", refused)
    again, after = load(registry, folder, on_bad_image="skip")
    assert after.findings == before.findings
    assert [p.key for p in again.splits().values()] == [p.key for p in first.splits().values()]
    with pytest.raises(InputError, match="2 images cannot be read"):
        load(registry, folder)


def test_a_streamed_split_leaves_them_out_too(folder, registry):
    planted(folder, {"empty.jpg": b"", "cut50.jpg": cut(0.5), "page.jpg": b"<html>"})
    stored, _ = load(registry, folder, on_bad_image="skip")
    data, _ = load(registry, folder, on_bad_image="skip", stream_above_gb=1e-9)
    for name, packed in data.splits().items():
        assert packed.streamed
        np.testing.assert_array_equal(packed.images[:], stored.splits()[name].images[:])


def test_odd_images_are_no_fault(folder, registry):
    planted(folder, ODD)
    data, notes = load(registry, folder)
    assert sum(map(len, data.splits().values())) == 60 + len(ODD)
    assert not notes.said
    for packed in data.splits().values():
        assert all(packed.name(row).isprintable() for row in range(len(packed)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_turned_by_its_exif_is_the_same_as_the_upright_one(tmp_path, orientation):
    turn = {2: "mirror", 4: "flip"}.get(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "a.png"
    photo(1).save(file, exif=exif)
    with Image.open(file) as opened:
        expected = ImageOps.exif_transpose(opened)
    np.testing.assert_array_equal(
        Preparation(SIZE).prepare(file), Preparation(SIZE).prepare(np.array(expected))
    )
    if turn:
        expected = getattr(ImageOps, turn)(photo(1))
        np.testing.assert_array_equal(
            Preparation(SIZE).prepare(file), Preparation(SIZE).prepare(np.array(expected))
        )


def test_an_image_that_vanishes_while_they_are_read_is_named(folder, registry, monkeypatch):
    real = stream.content_of
    lock = threading.Lock()

    def vanishing(image):
        with lock:
            if Path(image).name == "07.jpg":
                Path(image).unlink(missing_ok=True)
        return real(image)

    monkeypatch.setattr(stream, "content_of", vanishing)
    with pytest.raises(InputError, match=r"07\.jpg: there is no such file"):
        load(registry, folder)


def test_unsupported_files_are_counted(folder, registry):
    planted(folder, {"a.mov": b"", "b.MOV": b"", "notes": b"", "c.txt": b""})
    _, notes = load(registry, folder)
    assert notes.findings.ignored == {".mov files": 2, "suffixless files": 1, ".txt files": 1}
    assert notes.findings.counts["ignored"] == 4
    assert "ignored: 2 .mov files" in str(notes)


def test_what_is_fewer_than_a_batch_is_told(folder, registry):
    _, notes = load(registry, folder, batch_size=500)
    assert "is smaller than one batch (500)" in str(notes)


def test_a_class_that_lost_all_its_images_is_told(folder, registry):
    for path in (folder / "rose").iterdir():
        path.write_bytes(b"no image of " + path.name.encode())
    _, notes = load(registry, folder, on_bad_image="skip")
    assert "there are no training images of rose" in notes.said
    assert "there are no test images of rose" in notes.said


def test_classes_that_stand_back_are_told(folder, registry):
    for path in sorted((folder / "rose").iterdir())[3:]:
        path.unlink()
    _, notes = load(registry, folder)
    assert "--set stages.all.class_weights=balanced" in str(notes)


def test_a_split_that_lost_all_its_images_is_refused(folder, registry):
    for path in folder.glob("*/*"):
        path.write_bytes(b"no image of " + str(path).encode())
    with pytest.raises(InputError, match="the train split has no images left"):
        load(registry, folder, on_bad_image="skip")


def copy(image, how):
    """An image as people copy it."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return {
        "saved again": lambda: encoded(image, quality=50),
        "another format": lambda: encoded(image, "WEBP", quality=70),
        "half the size": lambda: encoded(half),
        "mirrored": lambda: encoded(ImageOps.mirror(image)),
        "upside down": lambda: encoded(ImageOps.flip(image)),
        "turned": lambda: encoded(image.rotate(180)),
        "brighter": lambda: encoded(image.point(lambda value: min(255, value * 1.1 + 5))),
        "grey": lambda: encoded(image.convert("L")),
        "mirrored and small": lambda: encoded(ImageOps.mirror(half), quality=60),
    }[how]()


COPIES = (
    "saved again", "another format", "half the size", "mirrored", "upside down", "turned",
    "brighter", "grey", "mirrored and small",
)  # fmt: skip


def in_splits(folder, test, *, train=range(20), label="rose"):
    """Given splits: photographs to train on and to validate by, and that test image."""
    for split, numbers in (("train", train), ("val", range(100, 110)), ("test", range(200, 210))):
        for number in numbers:
            path = folder / split / CLASSES[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(photo(number, 160), quality=95))
    (folder / "test" / label / "copy.jpg").write_bytes(test)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_in_another_split_is_found(tmp_path, registry, how):
    in_splits(tmp_path / "photos", copy(photo(7, 160), how))
    _, notes = load(registry, tmp_path / "photos")
    [[one, other]] = notes.findings.near_duplicates
    assert (one.split, Path(one.name).name, one.label) == ("train", "7.jpg", "rose")
    assert (other.split, Path(other.name).name) == ("test", "copy.jpg")
    assert not notes.findings.duplicates
    assert "1 pair of nearly equal images in two splits" in str(notes)
    assert "7.jpg = test: " in str(notes)


def test_rendered_images_are_no_copies_of_each_other(registry):
    params = {"train": 40, "validation": 6, "test": 20, "size": 48}
    splits = registry.get("dataset", "shapes").bind(params).build(seed=0)
    packed = {name: pack(getattr(splits, name), Preparation(SIZE)) for name in ("train", "test")}
    assert not near_pairs(packed)
    assert not list(equal_groups(packed))


def test_images_that_are_all_alike_raise_no_alarm():
    rng = np.random.default_rng(0)
    ring = np.hypot(*np.indices((32, 32)) - 15.5)
    images = [
        (
            np.where(abs(ring - rng.uniform(8, 10)) < 3, rng.integers(150, 255), 0).astype(
                np.uint8
            ),
            0,
        )
        for _ in range(60)
    ]
    packed = {
        "train": pack(images[:40], Preparation(32)),
        "test": pack(images[40:], Preparation(32)),
    }
    assert not near_pairs(packed)


def screenshot(seed):
    """A white page with a few lines of text."""
    page, rng = Image.new("RGB", (160, 160), "white"), np.random.default_rng(seed)
    for line in range(3):
        place = (10, 10 + 50 * line + int(rng.integers(30)))
        ImageDraw.Draw(page).text(place, f"a page {seed} of text", fill="black")
    return np.array(page)


def test_flat_images_are_not_nearly_equal_to_each_other():
    plain = [np.full((160, 160, 3), value, np.uint8) for value in range(0, 250, 10)]
    flat = [(pixels, 0) for pixels in (*plain, *map(screenshot, range(25)))]
    packed = {
        "train": pack(flat[::2], Preparation(160)),
        "test": pack(flat[1::2], Preparation(160)),
    }
    assert not near_pairs(packed)


def test_a_copy_is_found_among_flat_images():
    twins = [(np.array(photo(1, 160)), 0), (np.array(photo(1, 160))[:, ::-1], 0)]
    flat = [(screenshot(seed), 0) for seed in range(4)]
    packed = {
        "train": pack([*flat[:2], twins[0]], Preparation(160)),
        "test": pack([flat[2], twins[1], flat[3]], Preparation(160)),
    }
    assert near_pairs(packed) == [[("train", 2), ("test", 1)]]


def test_the_hash_of_a_mirror_image_is_known():
    pixels = np.array(photo(1, 48))
    plain, mirrored = perceptual_hash(pixels), perceptual_hash(pixels[:, ::-1])
    np.testing.assert_array_equal(plain[:4], mirrored[4:])
    np.testing.assert_array_equal(plain[4:], mirrored[:4])


def test_many_images_are_compared_in_blocks(monkeypatch):
    images = [(np.array(photo(number, 48)), 0) for number in range(30)]
    packed = {
        "train": pack(images, Preparation(32)),
        "test": pack([(image[:, ::-1].copy(), 0) for image, _ in images], Preparation(32)),
    }
    expected = [[("train", row), ("test", row)] for row in range(30)]
    assert near_pairs(packed) == expected
    monkeypatch.setattr(copies, "_near", OrderedDict())
    monkeypatch.setattr(hashes, "_BLOCK", 100)
    assert near_pairs(packed) == expected
    monkeypatch.setattr(copies, "MAX_PAIRS", 899)
    assert near_pairs(packed) == []
    assert "900 pairs of images are too many" in next(
        findings.findings_in(packed, ("a",), {}).notes()
    )


def test_an_equal_image_in_two_splits_is_an_error_that_says_what_to_do(tmp_path, registry):
    in_splits(tmp_path / "photos", encoded(photo(7, 160), quality=95))
    with pytest.raises(InputError) as caught:
        load(registry, tmp_path / "photos")
    first, pair, last = str(caught.value).splitlines()
    assert first == "1 pair of equal images in two splits, which inflate the accuracy:"
    assert pair.startswith("  train: ")
    assert "7.jpg = test: " in pair
    assert "Remove one of each pair, keep only the one used for evaluation with training.on" in last


def test_an_equal_image_in_two_splits_may_be_allowed(tmp_path, registry):
    in_splits(tmp_path / "photos", encoded(photo(7, 160), quality=95))
    data, notes = load(registry, tmp_path / "photos", on_duplicate="allow")
    assert [len(packed) for packed in data.splits().values()] == [20, 10, 11]
    assert notes.findings.counts["duplicates"] == 1
    assert "1 pair of equal images in two splits" in str(notes)


def test_an_equal_image_may_be_left_out_of_training(tmp_path, registry):
    in_splits(tmp_path / "photos", encoded(photo(7, 160), quality=95))
    data, notes = load(registry, tmp_path / "photos", on_duplicate="skip")
    assert [len(packed) for packed in data.splits().values()] == [19, 10, 11]
    assert notes.findings.counts["duplicates"] == 0
    assert "7.jpg: also in test" in str(notes)
    assert not any(data.train.name(row).endswith("/7.jpg") for row in range(19))


def test_an_equal_image_with_two_labels_is_named(folder, registry):
    (folder / "rose" / "wrong.jpg").write_bytes((folder / "daisy" / "03.jpg").read_bytes())
    _, notes = load(registry, folder)
    [pair] = notes.findings.conflicting
    assert {image.label for image in pair} == set(CLASSES)
    assert "1 pair of equal images with different labels" in str(notes)
    assert "(daisy) = " in str(notes)


def test_findings_are_json_and_long_ones_are_counted(tmp_path, registry, monkeypatch):
    monkeypatch.setattr(findings, "LISTED", 2)
    in_splits(tmp_path / "photos", encoded(photo(7, 160)))
    for number in range(8):
        copied = tmp_path / "photos" / "test" / CLASSES[number % 2] / f"c{number}.jpg"
        copied.write_bytes(
            (tmp_path / "photos/train" / CLASSES[number % 2] / f"{number}.jpg").read_bytes()
        )
    _, notes = load(registry, tmp_path / "photos", on_duplicate="allow")
    found = json.loads(json.dumps(notes.findings.to_json()))
    assert found["counts"]["duplicates"] == 8
    assert len(found["duplicates"]) == 2
    assert found["duplicates"][0][0].keys() == {"split", "row", "name", "label"}
    assert found["skipped"] == {}
