"""Images are packed by their content: only new ones are prepared, wherever they stand."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kerascnn import InputError, RunError, SplitParams, image_files, split_files
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store import stream
from kerascnn.engine.data.store.pack import BadImagesError, pack
from kerascnn.errors import SourceError

PREPARATION = Preparation(8)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path_factory.mktemp("cache")))


def pixels(number):
    return np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)


def save(path, number):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels(number)).save(path, "PNG")


def folder_of(path, **settings):
    """Packs the files of a folder, which are checked to be what they are decoded alone."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    packed = pack(image_files(path, [(file, 0) for file in files]), PREPARATION, **settings)
    assert [packed.name(row) for row in range(len(packed))] == [str(file) for file in files]
    for row, file in enumerate(files):
        np.testing.assert_array_equal(packed.images[row], PREPARATION.prepare(file))
    return packed


@pytest.fixture
def photos(tmp_path):
    """A folder of six images, which are packed."""
    for number in range(6):
        save(tmp_path / "photos" / f"{number}.png", number)
    assert folder_of(tmp_path / "photos").made == 6
    return tmp_path / "photos"


EDITS = {
    "nothing": (lambda photos: None, 0),
    "one added": (lambda photos: save(photos / "new.png", 6), 1),
    "one added before all others": (lambda photos: save(photos / "00.png", 6), 1),
    "one removed": (lambda photos: (photos / "2.png").unlink(), 0),
    "one renamed": (lambda photos: (photos / "2.png").rename(photos / "9.png"), 0),
    "one copied": (lambda photos: save(photos / "copy.jpg", 2), 0),
    "one changed": (lambda photos: save(photos / "2.png", 7), 1),
    "one removed, two added": (
        lambda photos: [save(photos / f"{name}.png", name) for name in (2, 7, 8)],
        2,
    ),
    "one new image added twice": (
        lambda photos: [save(photos / name, 8) for name in ("a.png", "b.png")],
        1,
    ),
}


@pytest.mark.parametrize(("edit", "new"), EDITS.values(), ids=EDITS)
def test_only_new_images_are_packed(photos, edit, new):
    edit(photos)
    seen = []
    assert folder_of(photos, on_progress=lambda *done: seen.append(done)).made == new
    assert not seen or seen[-1][0] == seen[-1][1]


def test_progress_counts_what_is_to_be_packed(photos):
    for number in (6, 7):
        save(photos / f"{number}.png", number)
    seen = []
    folder_of(photos, on_progress=lambda *done: seen.append(done))
    assert {total for _, total in seen} == {2}
    assert seen[-1] == (2, 2)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_no_image_is_packed_for_another_order_split_label_or_kind_of_source(photos):
    files = sorted(photos.iterdir())
    sources = [
        image_files(photos, [(file, 1) for file in reversed(files)]),
        image_files(photos, [(file, 0) for file in files[::2]]),
        [(file.read_bytes(), 0) for file in files],
        [(str(file), 0) for file in files],
    ]
    assert [pack(source, PREPARATION).made for source in sources] == [0] * len(sources)
    split = SplitParams(validation_fraction=0.3, test_fraction=0.3)
    labelled = {"train": [(file, str(number % 2)) for number, file in enumerate(files)]}
    splits = split_files(photos, labelled, split)
    assert [pack(part, PREPARATION).made for part in (splits.train, splits.test)] == [0, 0]


def test_another_preparation_packs_all(photos):
    files = [(file, 0) for file in sorted(photos.iterdir())]
    for preparation in (Preparation(9), Preparation(8, resize="pad"), Preparation(8, 0.5)):
        assert [pack(files, preparation).made for _ in range(2)] == [6, 0]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 5))), max_size=6
    )
)
@settings(max_examples=10, deadline=None)
def test_any_edits_pack_each_new_content_once(tmp_path_factory, edits):
    """An edit writes an image to a file, or removes the file."""
    folder, held = tmp_path_factory.mktemp("edited"), set(PACKED)
    for name, number in edits:
        if number is None:
            (folder / name).unlink(missing_ok=True)
        else:
            save(folder / name, 100 + number)
    now = {file.read_bytes() for file in folder.iterdir()}
    assert folder_of(folder).made == len(now - held)
    PACKED.update(now)


PACKED = set[bytes]()


def test_bad_images_alone_are_tried_at_every_start(photos, monkeypatch):
    for name in ("bad.png", "worse.png"):
        (photos / name).write_bytes(name.encode())
    files = image_files(photos, [(file, 0) for file in sorted(photos.iterdir())])
    tried, real = [], Preparation.with_peak

    def noted(self, image, *known):
        tried.append(Path(image).name)
        return real(self, image, *known)

    monkeypatch.setattr(Preparation, "with_peak", noted)
    for _ in range(2):
        tried.clear()
        with pytest.raises(BadImagesError, match="2 images cannot be read") as caught:
            pack(files, PREPARATION)
        assert [fault.split(": ")[0] for fault in caught.value.faults] == [
            str(photos / "bad.png"),
            str(photos / "worse.png"),
        ]
        assert sorted(tried) == ["bad.png", "worse.png"]
    packed = pack(files, PREPARATION, skip_bad=True)
    assert (len(packed), packed.made, len(packed.skipped)) == (6, 0, 2)
    save(photos / "bad.png", 8)
    (photos / "worse.png").unlink()
    assert folder_of(photos).made == 1


def test_two_files_with_the_same_fault_are_both_named(photos):
    for name in ("bad.png", "worse.png"):
        (photos / name).write_bytes(b"no image")
    with pytest.raises(BadImagesError, match="2 images cannot be read"):
        folder_of(photos)


@pytest.mark.parametrize("how", ["stored", "streamed"])
def test_what_is_decoded_is_what_was_hashed(photos, how):
    save(photos / "new.png", 6)
    files = image_files(photos, [(photos / "new.png", 0)])
    save(photos / "new.png", 7)  # after it was hashed
    above = {"streamed": 1}.get(how)
    with pytest.raises(RunError, match=r"new\.png has changed since this run started"):
        pack(files, PREPARATION, stream_above=above)


def test_a_file_that_changes_while_it_is_packed_is_packed_as_it_was(photos, monkeypatch):
    save(photos / "new.png", 6)
    files, real = image_files(photos, [(photos / "new.png", 0)]), stream.content_of

    def overwritten(image):
        content = real(image)
        save(photos / "new.png", 7)
        return content

    monkeypatch.setattr(stream, "content_of", overwritten)
    packed = pack(files, PREPARATION)
    np.testing.assert_array_equal(packed.images[0], PREPARATION.prepare(pixels(6)))


class Claimed(list):
    """Images under a fingerprint of the author's own."""

    fingerprint = "mine"


def test_a_source_with_a_fingerprint_is_read_once(monkeypatch):
    source = Claimed((pixels(number), number % 2) for number in range(4))
    first = pack(source, PREPARATION)
    again = pack(Claimed([None] * 4), PREPARATION)  # none of which is read
    np.testing.assert_array_equal(again.images[:], first.images[:])
    np.testing.assert_array_equal(again.labels, [0, 1, 0, 1])
    assert (first.made, again.made) == (4, 0)


def encoded(number):
    buffer = io.BytesIO()
    Image.fromarray(pixels(number)).save(buffer, "PNG")
    return buffer.getvalue()


class Noted(list):
    """Encoded images, or the errors that reading them raises; notes which are read."""

    def __init__(self, images, fingerprint):
        super().__init__(images)
        self.fingerprint, self.read = fingerprint, []

    def __getitem__(self, index):
        self.read.append(index)
        image = super().__getitem__(index)
        if isinstance(image, Exception):
            raise image
        return image, 0


def test_a_new_fingerprint_has_all_images_read_and_new_ones_decoded(monkeypatch):
    decoded, real = [], Preparation.with_peak

    def noted(self, image, *known):
        decoded.append(image)
        return real(self, image, *known)

    monkeypatch.setattr(Preparation, "with_peak", noted)
    images = [encoded(number) for number in range(6)]
    assert pack(Noted(images[:4], "first"), PREPARATION).made == 4
    decoded.clear()
    source = Noted(images[:5], "second")
    assert pack(source, PREPARATION).made == 1
    assert set(source.read) == set(range(5))
    assert decoded == images[4:5]


def test_an_image_that_a_source_cannot_give_yet_is_asked_for_at_every_start():
    images = [encoded(0), InputError("the server is away"), encoded(1)]
    for _ in range(2):
        source = Noted(images, "of a server")
        with pytest.raises(BadImagesError, match="image 1: the server is away"):
            pack(source, PREPARATION)
    assert 2 not in source.read  # it is known
    images[1] = encoded(2)
    packed = pack(Noted(images, "of a server"), PREPARATION)
    assert (len(packed), packed.made) == (3, 1)
    np.testing.assert_array_equal(packed.images[1], PREPARATION.prepare(pixels(2)))


def test_a_fingerprint_that_stays_when_images_change_is_refused():
    pack(Claimed([(pixels(0), 0)]), PREPARATION)
    with pytest.raises(SourceError, match=r"source\[0\] returned another image before.*--kind"):
        pack(Claimed([(pixels(1), 0)]), Preparation(9))


def test_an_image_of_pillow_is_refused():
    with pytest.raises(SourceError, match=r"the image of source\[0\] must be a path.*not <PIL"):
        pack([(Image.fromarray(pixels(0)), 0)], PREPARATION)


def test_arrays_of_the_same_bytes_are_not_the_same_image():
    flat = pixels(0)
    turned = flat.reshape(12, 9, 3)
    assert pack([(flat, 0), (turned, 0)], PREPARATION).made == 2


def test_the_content_of_a_file_and_its_bytes_are_the_same(tmp_path):
    encoded = io.BytesIO()
    Image.fromarray(pixels(0)).save(encoded, "PNG")
    (tmp_path / "image.jpg").write_bytes(encoded.getvalue())  # the suffix decides nothing
    assert pack([(encoded.getvalue(), 0)], PREPARATION).made == 1
    assert pack([(tmp_path / "image.jpg", 0)], PREPARATION).made == 0
