"""Images saved under their right labels: where, under which names, and what is refused."""

import hashlib
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerascnn.components.builtin.image_folder import ImageFolderParams, build_image_folder
from kerascnn.errors import InputError
from kerascnn.results.serving.corrections import Corrections


def encoded(kind="PNG", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).save(written := BytesIO(), kind)
    return written.getvalue()


@pytest.fixture
def corrections(tmp_path):
    return Corrections(tmp_path / "corrections", ["daisy", "Tulips"])


def files(corrections):
    found = sorted(path for path in corrections.folder.rglob("*") if path.is_file())
    return [path.relative_to(corrections.folder).as_posix() for path in found]


@pytest.mark.parametrize(
    ("kind", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("TIFF", ".tif"), ("WEBP", ".webp")]
)
def test_the_bytes_are_saved_as_they_are_under_their_hash(corrections, kind, suffix):
    image = encoded(kind)
    path = corrections.save(image, "daisy")
    assert path.read_bytes() == image
    assert path.name == hashlib.sha256(image).hexdigest()[:32] + suffix
    assert path.parent == corrections.folder / "daisy"


def test_an_image_folder_reads_them(corrections):
    for seed in range(10):
        corrections.save(encoded(seed=seed), ["daisy", "violet"][seed % 2])
    splits = build_image_folder(ImageFolderParams(path=corrections.folder, only_test=True), seed=0)
    assert splits.class_names == ["daisy", "violet"]
    assert len(splits.test) == 10


def test_in_the_folder_of_a_dataset_it_is_no_class(corrections):
    for name in ("daisy", "Tulips"):
        Corrections(corrections.folder.parent, []).save(encoded(seed=len(name)), name)
    corrections.save(encoded(seed=9), "daisy")
    data = ImageFolderParams(path=corrections.folder.parent, only_test=True)
    assert build_image_folder(data, seed=0).class_names == ["Tulips", "daisy"]


def test_the_same_image_is_there_once_and_under_its_last_label(corrections):
    image = encoded()
    first = corrections.save(image, "daisy")
    assert corrections.save(image, "daisy") == first
    moved = corrections.save(image, "violet")
    assert files(corrections) == [".kerascnn-output", f"violet/{moved.name}"]
    assert not first.parent.exists()  # nor is there a class without images
    assert moved.read_bytes() == image


def test_a_file_of_another_s_is_not_overwritten(corrections):
    other = corrections.folder / "daisy" / "mine.png"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"mine")
    corrections.save(encoded(), "daisy")
    assert other.read_bytes() == b"mine"


@pytest.mark.parametrize("label", ["tulips", " TULIPS ", "Tulips"])
def test_a_label_is_the_known_one_in_any_case(corrections, label):
    assert corrections.save(encoded(), label).parent.name == "Tulips"


def test_new_labels_are_known_from_then_on(corrections):
    assert corrections.labels() == ["daisy", "Tulips"]
    corrections.save(encoded(), "café")
    assert corrections.labels() == ["daisy", "Tulips", "café"]
    assert corrections.save(encoded(seed=1), "CAFE\u0301").parent.name == "café"
    assert corrections.save(encoded(seed=2), "雏菊").parent.name == "雏菊"


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        ("", "it is empty"),
        (" ", "it is empty"),
        (".", "begins or ends with a full stop"),
        ("..", "begins or ends with a full stop"),
        (".hidden", "begins or ends with a full stop"),
        ("../../etc", "it contains /"),
        ("a/b", "it contains /"),
        ("/etc/passwd", "it contains /"),
        ("..\\up", r"it contains \\"),
        ("C:", "it contains :"),
        ("a\0b", r"it contains \\x00"),
        ("a\nb", r"it contains \\n"),
        ("\udcff", r"it contains \\udcff"),
        ("x" * 81, "more than 80 bytes"),
        ("花" * 27, "more than 80 bytes"),
        ("nul", "a device on Windows"),
        ("COM1.txt", "a device on Windows"),
        ("mlruns", "datasets leave such folders out"),
        ("lost+found", "datasets leave such folders out"),
    ],
)
def test_a_label_that_is_no_name_of_a_folder_is_refused(corrections, label, fault):
    with pytest.raises(InputError, match=f"cannot be the name of a folder: .*{fault}"):
        corrections.save(encoded(), label)
    assert not corrections.folder.exists()


def test_a_link_out_of_the_folder_is_not_followed(corrections, tmp_path):
    corrections.folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (corrections.folder / "daisy").symlink_to(elsewhere)
    with pytest.raises(InputError, match="a link that leads out"):
        corrections.save(encoded(), "daisy")
    assert not list(elsewhere.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    corrections = Corrections(tmp_path / "file" / "corrections", ["daisy"])
    with pytest.raises(InputError, match=r'cannot save the image in ".*daisy": Not a directory'):
        corrections.save(encoded(), "daisy")


def test_what_a_write_that_fails_leaves_is_nothing(corrections, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left on device"):
        corrections.save(encoded(), "daisy")
    assert [path.name for path in corrections.folder.iterdir()] == [".kerascnn-output"]
