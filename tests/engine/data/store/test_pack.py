"""`pack`: once, whole or not at all, found again by content, in little memory."""

import inspect
import io
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.hygiene.copies import copies, equal_groups
from kerascnn.engine.data.store import packed_store
from kerascnn.engine.data.store.pack import pack
from kerascnn.runtime.cache import entries


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


def images(count=6):
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 256, (9, 12, 3), np.uint8), index % 2) for index in range(count)]


class Counting:
    """A source with a fingerprint, which notes in a file each image that it gives."""

    fingerprint = "counting"

    def __init__(self, log, at=None, do=None):
        self.log, self.at, self.do = log, at, do

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == self.at:
            self.do()
        with Path(self.log).open("a") as log:
            log.write(f"{index}\n")
        return images()[index]

    @property
    def given(self):
        return len(Path(self.log).read_text().split()) if Path(self.log).exists() else 0


def test_what_is_packed_is_the_prepared_images_in_order():
    packed = pack(images(), Preparation(8))
    assert packed.images.shape == (6, 8, 8, 3)
    assert packed.images.dtype == np.uint8
    for index, (image, _) in enumerate(images()):
        np.testing.assert_array_equal(packed.images[index], Preparation(8).prepare(image))
    assert (packed.labels.dtype, packed.labels.tolist()) == (np.int64, [0, 1, 0, 1, 0, 1])
    assert [packed.name(index) for index in range(6)] == ["0", "1", "2", "3", "4", "5"]
    assert packed.digests.shape == (6, 32)
    assert len(np.unique(packed.digests, axis=0)) == len(packed) == 6
    assert not packed.streamed


def test_files_are_named_by_their_path(tmp_path):
    Image.fromarray(images()[0][0]).save(tmp_path / "a.png")
    packed = pack(
        [(tmp_path / "a.png", 0), (str(tmp_path / "a.png"), 1)], Preparation(8, resize="pad")
    )
    assert packed.name(0) == packed.name(1) == str(tmp_path / "a.png")


def test_the_second_time_it_is_found(tmp_path):
    source, steps = Counting(tmp_path / "log"), []
    first = pack(source, Preparation(8), lambda done, total: steps.append((done, total)))
    assert steps[-1] == (6, 6)
    given = source.given
    again = pack(source, Preparation(8), lambda done, total: pytest.fail("packed again"))
    assert source.given == given
    np.testing.assert_array_equal(first.images[:], again.images[:])
    np.testing.assert_array_equal(first.digests, again.digests)
    assert (first.fingerprint, first.key) == (again.fingerprint, again.key)


def one_pixel(source):
    image = source[3][0].copy()
    image[4, 4, 1] ^= 1
    return [*source[:3], (image, source[3][1]), *source[4:]]


def one_label(source):
    return [*source[:3], (source[3][0], 0), *source[4:]]


def test_all_that_decides_the_content_decides_the_key(monkeypatch):
    source = images()
    variants = [
        (source, Preparation(8)),
        (one_pixel(source), Preparation(8)),
        (one_label(source), Preparation(8)),
        (source[::-1], Preparation(8)),
        (source[:5], Preparation(8)),
        (source, Preparation(9)),
        (source, Preparation(8, resize="pad")),
        (source, Preparation(8, resize="stretch")),
    ]
    keys = [pack(*variant).key for variant in variants]
    assert len(set(keys)) == len(variants)
    assert len(entries()) == 4  # one for each way to prepare them
    assert pack(images(), Preparation(8)).key == keys[0]
    monkeypatch.setattr(packed_store, "_VERSION", packed_store._VERSION + 1)
    assert pack(source, Preparation(8)).key not in keys
    assert len(entries()) == 5


def test_the_fingerprint_is_that_of_the_images_at_any_size():
    source = images()
    assert (
        pack(source, Preparation(8)).fingerprint
        == pack(source, Preparation(9, resize="pad")).fingerprint
    )
    assert (
        pack(source, Preparation(8)).fingerprint
        != pack(one_pixel(source), Preparation(8)).fingerprint
    )


def test_files_that_moved_are_named_by_where_they_are(tmp_path):
    class Folder(list):
        fingerprint = "the same files"

    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        Image.fromarray(images()[0][0]).save(tmp_path / name / "a.png")
        packed = pack(Folder([(tmp_path / name / "a.png", 0)]), Preparation(8))
        assert packed.name(0) == str(tmp_path / name / "a.png")


def test_an_array_and_its_png_prepare_to_the_same_image():
    image, label = images()[0]
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "png")
    packed = pack([(image, label), (encoded.getvalue(), label)], Preparation(8))
    np.testing.assert_array_equal(packed.images[0], packed.images[1])
    np.testing.assert_array_equal(packed.digests[0], packed.digests[1])


def test_all_bad_images_are_named_at_once(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    good = images()[0]
    source = [good, (tmp_path / "broken.jpg", 0), (tmp_path / "gone.jpg", 1), (b"no", 0), good]
    with pytest.raises(InputError, match="3 images cannot be read") as raised:
        pack(source, Preparation(8))
    for words in ("broken.jpg", "gone.jpg", "no such file", "image 3"):
        assert words in str(raised.value)
    assert pack([good], Preparation(8)).made == 0  # the others are packed


def test_very_many_bad_images_are_counted():
    with pytest.raises(InputError, match="30 images cannot be read") as raised:
        pack([(b"bad", 0)] * 30, Preparation(8))
    assert str(raised.value).splitlines()[-2:] == [
        "  and 10 more",
        "Repair, replace or remove them.",
    ]


def interrupt():
    raise KeyboardInterrupt


def test_what_is_interrupted_leaves_nothing_half_done(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        pack(Counting(tmp_path / "log", at=4, do=interrupt), Preparation(8))
    packed = pack(Counting(tmp_path / "log"), Preparation(8))
    assert packed.made == 6
    np.testing.assert_array_equal(packed.images[:], [*map(prepared, images())])


def prepared(pair):
    return Preparation(8).prepare(pair[0])


class Numbers:
    """600 images that tell their number; `at` is called with that of each."""

    fingerprint = "numbers"

    def __init__(self, at=int):
        self.at = at

    def __len__(self):
        return 600

    def __getitem__(self, index):
        self.at(index)
        return np.full((8, 8, 3), [index % 256, index // 256, 0], np.uint8), 0


KILLED = f"""
import os, signal
import numpy as np
from kerascnn.engine.data.store import identify
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.pack import pack
from kerascnn.runtime.rows import filling

{inspect.getsource(Numbers)}

def kill(index):
    if index == 400:
        os.kill(os.getpid(), signal.SIGKILL)

filling.COMMIT_SECONDS = identify._KEEP_SECONDS = 0
pack(Numbers(kill), Preparation(8))
"""


def test_a_killed_packing_goes_on_where_it_was():
    ended = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert ended.returncode == -signal.SIGKILL
    asked = []
    packed = pack(Numbers(asked.append), Preparation(8))
    assert len(asked) <= packed.made + 1  # to see how long it takes
    assert 200 <= packed.made < 400  # a few more than a third were on their way
    assert (packed.images[:][:, 0, 0] @ [1, 256, 0] == range(600)).all()


MEMORY = """
import sys
import numpy as np
from kerascnn.engine.data.store import identify
from kerascnn.engine.data.hygiene.findings import equal_groups
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.pack import pack
from kerascnn.runtime.rows import filling

filling.COMMIT_BYTES = identify._KEEP_BYTES = 2**20  # what is held before it is written

class Noise:
    fingerprint = "noise"

    def __len__(self):
        return 1500

    def __getitem__(self, index):
        return np.random.default_rng(index).integers(0, 256, (96, 96, 3), np.uint8), index % 2

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024

pack([Noise()[0]] * 50, Preparation(96))
before = peak()
packed = pack(Noise(), Preparation(96))
for chosen in np.random.default_rng(0).permutation(1500).reshape(-1, 50):
    packed.images[chosen]
assert not list(equal_groups({"train": packed}))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from there")
def test_neither_packing_nor_reading_holds_the_images_in_memory():
    ended = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True)
    assert float(ended.stdout) < 12, ended.stderr  # MiB, of 40 that are on the disk


def pack_in_a_process(log, ready, results):
    ready.wait()
    packed = pack(Counting(log), Preparation(8))
    results.put((packed.made, packed.digests.tobytes()))


def test_two_processes_pack_each_image_once(tmp_path):
    context = get_context("spawn")
    ready, results = context.Barrier(2), context.Queue()
    arguments = (str(tmp_path / "log"), ready, results)
    processes = [context.Process(target=pack_in_a_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    (made, digests), (made_there, digests_there) = (results.get(timeout=60) for _ in range(2))
    assert made + made_there == 6
    assert digests == digests_there
    for process in processes:
        process.join()
    # at most one more in each process, to see how long it takes
    assert 7 <= Counting(tmp_path / "log").given <= 8


def test_a_source_of_nothing_is_packed_as_nothing():
    assert len(pack([], Preparation(8))) == 0


def test_images_that_stand_in_two_splits_are_told():
    a, b, c, *_ = images()
    splits = {
        "train": pack([a, b, a], Preparation(8)),
        "validation": pack([c], Preparation(8)),
        "test": pack([c, b], Preparation(8)),
    }
    assert list(equal_groups(splits)) == [
        [("train", 0), ("train", 2)],
        [("train", 1), ("test", 1)],
        [("validation", 0), ("test", 0)],
    ]
    assert copies(splits) == {"train": {1: "test"}, "validation": {0: "test"}}


def test_what_is_left_out_is_as_if_it_had_never_been_there(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(images()[4][0]).save(path)
    source = [*images()[:4], (path, 1)]
    whole = pack(source, Preparation(8))
    part = whole.without([2, 0], ["0: a reason", "2: another"])
    np.testing.assert_array_equal(part.images[:], whole.images[[1, 3, 4]])
    np.testing.assert_array_equal(part.images[-1], whole.images[4])
    np.testing.assert_array_equal(part.digests, whole.digests[[1, 3, 4]])
    assert part.labels.tolist() == [1, 1, 1]
    assert part.name(2) == str(path)
    assert part.source[2] == (path, 1)
    assert part.skipped == ("0: a reason", "2: another")
    assert len({packed.key for packed in (whole, part, whole.without([1], []))}) == 3
    assert part.fingerprint not in (whole.fingerprint, whole.without([1], []).fingerprint)
    again = part.without([0], ["1: a third"])
    np.testing.assert_array_equal(again.images[:], whole.images[[3, 4]])
    assert len(again.skipped) == 3
