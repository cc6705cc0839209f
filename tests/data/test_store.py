"""`pack`: once, whole or not at all, and found again by content."""

import io
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError
from kerascnn.data.store import duplicates_across, pack


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


def pictures(count=6):
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 256, (9, 12, 3), np.uint8), index % 2) for index in range(count)]


class Counting:
    """A source with a fingerprint, which notes in a file each picture that it gives."""

    def __init__(self, log, fails_at=None):
        self.log, self.fails_at = log, fails_at
        self.fingerprint = "counting"

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == self.fails_at:
            raise KeyboardInterrupt
        with Path(self.log).open("a") as log:
            log.write(f"{index}\n")
        return pictures()[index]

    @property
    def given(self):
        return len(Path(self.log).read_text().split()) if Path(self.log).exists() else 0


def test_what_is_packed_is_the_prepared_pictures_in_order():
    packed = pack(pictures(), 8, "crop")
    assert packed.images.shape == (6, 8, 8, 3)
    assert packed.images.dtype == np.uint8
    assert isinstance(packed.images, np.memmap)
    assert packed.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert packed.names == ("0", "1", "2", "3", "4", "5")
    assert len(set(packed.digests)) == len(packed) == 6


def test_files_are_named_by_their_path(tmp_path):
    Image.fromarray(pictures()[0][0]).save(tmp_path / "a.png")
    packed = pack([(tmp_path / "a.png", 0), (str(tmp_path / "a.png"), 1)], 8, "pad")
    assert packed.names == (str(tmp_path / "a.png"),) * 2


def test_the_second_time_it_is_found(tmp_path):
    source, steps = Counting(tmp_path / "log"), []
    first = pack(source, 8, "crop", lambda done, total: steps.append((done, total)))
    assert steps == [(done, 6) for done in range(1, 7)]
    again = pack(source, 8, "crop", lambda done, total: steps.append("again"))
    assert source.given == len(steps) == 6
    np.testing.assert_array_equal(first.images, again.images)
    assert first.fingerprint == again.fingerprint
    assert first.digests == again.digests


def one_pixel(source):
    image = source[3][0].copy()
    image[4, 4, 1] ^= 1
    return [*source[:3], (image, source[3][1]), *source[4:]]


def one_label(source):
    return [*source[:3], (source[3][0], 0), *source[4:]]


def test_all_that_decides_the_content_decides_the_key():
    source = pictures()
    variants = [
        (source, 8, "crop"),
        (one_pixel(source), 8, "crop"),
        (one_label(source), 8, "crop"),
        (source[::-1], 8, "crop"),
        (source[:5], 8, "crop"),
        (source, 9, "crop"),
        (source, 8, "pad"),
        (source, 8, "stretch"),
    ]
    folders = [Path(pack(*variant).images.filename).parent for variant in variants]
    assert len(set(folders)) == len(variants)
    assert Path(pack(pictures(), 8, "crop").images.filename).parent == folders[0]


def test_the_fingerprint_is_that_of_the_pictures_at_any_size():
    source = pictures()
    assert pack(source, 8, "crop").fingerprint == pack(source, 9, "pad").fingerprint
    assert pack(source, 8, "crop").fingerprint != pack(one_pixel(source), 8, "crop").fingerprint


def test_files_that_moved_are_named_by_where_they_are(tmp_path):
    class Folder(list):
        fingerprint = "the same files"

    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        Image.fromarray(pictures()[0][0]).save(tmp_path / name / "a.png")
        packed = pack(Folder([(tmp_path / name / "a.png", 0)]), 8, "crop")
        assert packed.names == (str(tmp_path / name / "a.png"),)


def test_an_array_and_its_png_prepare_to_the_same_picture():
    image, label = pictures()[0]
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "png")
    packed = pack([(image, label), (encoded.getvalue(), label)], 8, "crop")
    assert packed.digests[0] == packed.digests[1]


def test_all_bad_pictures_are_named_at_once(tmp_path, cache):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    good = pictures()[0]
    source = [good, (tmp_path / "broken.jpg", 0), (tmp_path / "gone.jpg", 1), (b"no", 0), good]
    with pytest.raises(InputError, match="3 pictures cannot be read") as raised:
        pack(source, 8, "crop")
    for words in ("broken.jpg", "gone.jpg", "no such file", "picture 3"):
        assert words in str(raised.value)
    assert not whole(cache)


def test_very_many_bad_pictures_are_counted():
    with pytest.raises(InputError, match="30 pictures cannot be read") as raised:
        pack([(b"bad", 0)] * 30, 8, "crop")
    assert str(raised.value).endswith("and 10 more")


def whole(cache):
    return [path for path in cache.iterdir() if path.is_dir()]


def test_of_a_killed_build_nothing_is_believed(tmp_path, cache):
    with pytest.raises(KeyboardInterrupt):
        pack(Counting(tmp_path / "log", fails_at=4), 8, "crop")
    assert not whole(cache)
    packed = pack(Counting(tmp_path / "log"), 8, "crop")
    np.testing.assert_array_equal(packed.images, pack(pictures(), 8, "crop").images)


def pack_in_a_process(log, ready, results):
    ready.wait()
    results.put(pack(Counting(log), 8, "crop").digests)


def test_two_processes_build_once(tmp_path):
    context = get_context("spawn")
    ready, results = context.Barrier(2), context.Queue()
    arguments = (str(tmp_path / "log"), ready, results)
    processes = [context.Process(target=pack_in_a_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    assert results.get(timeout=60) == results.get(timeout=60)
    for process in processes:
        process.join()
    assert Counting(tmp_path / "log").given == 6


def test_a_source_of_nothing_is_packed_as_nothing():
    assert len(pack([], 8, "crop")) == 0


def test_pictures_that_stand_in_two_splits_are_told():
    a, b, c, *_ = pictures()
    splits = {
        "train": pack([a, b, a], 8, "crop"),
        "validation": pack([c], 8, "crop"),
        "test": pack([c, b], 8, "crop"),
    }
    assert list(duplicates_across(splits)) == [
        ("validation: 0", "test: 0"),
        ("train: 1", "test: 1"),
    ]
