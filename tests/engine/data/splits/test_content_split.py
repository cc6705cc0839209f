"""Splits by content are the same whatever kind of source the images come from."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from kerascnn import SplitParams, image_files, split_files, split_source
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.pack import pack

PARAMS = SplitParams(validation_fraction=0.2, test_fraction=0.2)
CLASSES = ("daisy", "rose")


@pytest.fixture(scope="module")
def files(tmp_path_factory, photo):
    """The paths of 40 images, among them copies: mirrored, and with another comment."""
    folder = tmp_path_factory.mktemp("photos")
    images = [photo(number) for number in range(36)]
    images += [ImageOps.mirror(images[0]), images[1], images[2], ImageOps.mirror(images[3])]
    paths = []
    for number, image in enumerate(images):
        path = folder / CLASSES[number % 2 if number < 36 else (0, 1, 0, 1)[number - 36]]
        path.mkdir(exist_ok=True)
        paths.append(path / f"{number:02}.jpg")
        image.save(paths[-1], quality=95, comment=b"a copy" if number >= 36 else b"")
    return paths


def encoded(path):
    return path.read_bytes(), CLASSES.index(path.parent.name)


def images_of(source):
    """The contents and labels of a source; of a file, its bytes."""
    pairs = [source[row] for row in range(len(source))]
    return [(image if isinstance(image, bytes) else image.read_bytes(), n) for image, n in pairs]


def test_encoded_images_are_divided_as_files_are(files):
    folder = files[0].parents[1]
    labelled = [(path, path.parent.name) for path in files]
    as_files = split_files(folder, {"train": labelled}, PARAMS)
    as_bytes = split_source([encoded(path) for path in files], PARAMS)
    for split, source in as_bytes.items():
        assert images_of(source) == images_of(getattr(as_files, split)), split
    assert sum(map(len, as_bytes.values())) == len(files)


def test_copies_stay_together(files):
    splits = split_source([encoded(path) for path in files], PARAMS)
    split_of = {image: split for split in splits for image, _ in images_of(splits[split])}
    for number, copy in ((0, 36), (1, 37), (2, 38), (3, 39)):
        assert split_of[files[number].read_bytes()] == split_of[files[copy].read_bytes()]


def test_only_missing_splits_are_drawn(files):
    source = [encoded(path) for path in files]
    drawn = split_source(source, PARAMS, given=["train", "test"])
    assert drawn.keys() == {"train", "validation"}
    assert len(drawn["train"]) + len(drawn["validation"]) == len(files)


def test_the_fingerprint_is_that_which_packing_would_make(files):
    train = split_source([encoded(path) for path in files], PARAMS)["train"]
    copied = [train[row] for row in range(len(train))]
    assert pack(copied, Preparation(8)).fingerprint == train.fingerprint


def test_pixels_can_be_divided_too():
    rng = np.random.default_rng(0)
    images = [(rng.integers(0, 256, (16, 16, 3), np.uint8), row % 2) for row in range(40)]
    first, again = (split_source(images, PARAMS) for _ in range(2))
    assert [len(first[split]) for split in ("train", "validation", "test")] == [24, 8, 8]
    assert all(first[split].rows == again[split].rows for split in first)


def test_the_fingerprint_of_files_follows_names_contents_and_labels(tmp_path):
    def source(name="a.png", grey=0, label=0):
        buffer = io.BytesIO()
        Image.new("L", (8, 8), grey).save(buffer, "PNG")
        (tmp_path / name).write_bytes(buffer.getvalue())
        return image_files(tmp_path, [(tmp_path / name, label)])

    changed = [source(), source("b.png"), source(grey=1), source(label=1)]
    assert len({files.fingerprint for files in changed}) == len(changed)
    assert source().fingerprint == changed[0].fingerprint
    assert source()[0] == (tmp_path / "a.png", 0)
