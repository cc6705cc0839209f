"""What is too large to be packed is decoded batch by batch, and gives the same."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, RunError
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources import workers
from kerascnn.engine.data.sources.workers import Workers
from kerascnn.engine.data.store.pack import pack
from kerascnn.runtime.devices import available_cores


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


def image(index):
    return np.random.default_rng(index).integers(0, 256, (14, 20, 3), np.uint8)


@pytest.fixture
def source(tmp_path):
    """40 images: arrays, encoded bytes, paths."""
    made = []
    for index in range(40):
        file = tmp_path / f"{index}.png"
        Image.fromarray(image(index)).save(file)
        made.append(([image(index), file.read_bytes(), file, str(file)][index % 4], index % 3))
    return made


def streamed(source, **settings):
    return pack(source, Preparation(8), stream_above=1, **settings)


def test_what_is_streamed_is_what_would_be_packed(source, cache):
    packed, anew = pack(source, Preparation(8)), streamed(source)
    assert (packed.streamed, anew.streamed) == (False, True)
    assert (packed.key, packed.fingerprint) == (anew.key, anew.fingerprint)
    np.testing.assert_array_equal(packed.labels, anew.labels)
    np.testing.assert_array_equal(packed.digests, anew.digests)
    assert [packed.name(i) for i in range(40)] == [anew.name(i) for i in range(40)]
    assert (packed.images.shape, packed.images.dtype) == (anew.images.shape, anew.images.dtype)
    assert len(list(cache.rglob("descriptions.*"))) == 2
    assert len(list(cache.rglob("images.*"))) == 1


ROWS = {
    "one": 3,
    "one of NumPy's": np.int64(3),
    "the last": -1,
    "a slice": slice(3, 30, 2),
    "all": slice(None),
    "a batch": np.array([7, 7, 39, 0]),
    "a list": [1, 2],
    "views of a batch": np.array([[7, 7], [39, 0], [1, 2]]),
    "none": np.array([], np.int64),
}


@pytest.mark.parametrize("make", [pack, streamed], ids=["packed", "streamed"])
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_images_are_indexed_like_an_array(source, make, rows):
    images = (pack(source, Preparation(8)) if make is pack else streamed(source)).images
    array = np.stack([images[index] for index in range(len(images))])
    np.testing.assert_array_equal(images[rows], array[rows])
    assert images[rows].dtype == np.uint8


@pytest.mark.parametrize("make", [pack, streamed], ids=["packed", "streamed"])
@pytest.mark.parametrize("rows", [40, -41, [0, 40], [-1], [True] * 40, [0.5], "0"])
def test_what_is_not_there_is_an_error(source, make, rows):
    images = (pack(source, Preparation(8)) if make is pack else streamed(source)).images
    with pytest.raises(IndexError):
        images[rows]


class Asked:
    """A source that notes in a file which process asked for which image."""

    fingerprint = "asked"

    def __init__(self, log):
        self.log = log

    def __len__(self):
        return 40

    def __getitem__(self, index):
        with Path(self.log).open("a") as log:
            log.write(f"{os.getpid()} {index}\n")
        return image(index), index % 3

    def given(self):
        """The processes and the images since the last time."""
        lines = [line.split() for line in Path(self.log).read_text().splitlines()]
        Path(self.log).write_text("")
        return {int(process) for process, _ in lines}, sorted(int(index) for _, index in lines)


def test_all_are_decoded_once_and_then_only_those_asked_for(tmp_path):
    source = Asked(tmp_path / "log")
    streamed(source)
    assert source.given()[1] == [0, *range(40)]  # one more, to see how long it takes
    again = streamed(source, on_progress=lambda done, total: pytest.fail("decoded again"))
    again.images[0]
    source.given()
    again.images[[5, 30]]
    assert source.given()[1] == [5, 30]


def test_a_slow_source_is_asked_in_processes(tmp_path, monkeypatch):
    expected = pack(Asked(tmp_path / "log"), Preparation(8)).images[:]
    monkeypatch.setattr(workers, "WORTH_PROCESSES_SECONDS", 0)
    source = Asked(tmp_path / "slow")
    images = streamed(source).images
    np.testing.assert_array_equal(images[:], expected)
    assert source.given()[0] > {os.getpid()}
    images[3]
    assert os.getpid() not in source.given()[0]


def test_a_slow_source_that_cannot_be_sent_is_asked_in_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "WORTH_PROCESSES_SECONDS", 0)
    source = Asked(tmp_path / "log")
    source.lock = threading.Lock()
    assert streamed(source).images[:].shape == (40, 8, 8, 3)
    assert source.given()[0] == {os.getpid()}


def test_few_pieces_are_made_ahead():
    asked = []
    pieces = Workers(range(10_000)).map(lambda source, rows: asked.extend(rows), range(10_000))
    next(pieces)
    time.sleep(0.3)  # in which all would be made, were they asked for
    assert len(asked) < 100 * available_cores()
    pieces.close()


def test_bad_images_are_named_before_the_first_batch(tmp_path, source):
    with pytest.raises(InputError, match=r"1 image cannot be read(?s:.*)image 40"):
        streamed([*source, (b"no image", 0)])


def test_an_image_that_changes_meanwhile_stops_the_run(source):
    images = streamed(source).images
    Image.fromarray(image(99)).save(source[2][0])
    assert images[[0, 1, 3]].shape == (3, 8, 8, 3)
    with pytest.raises(RunError, match=r"2\.png has changed since this run started"):
        images[[1, 2]]
    Path(source[2][0]).unlink()
    with pytest.raises(RunError, match=r"2\.png.*no such file"):
        images[[1, 2]]
