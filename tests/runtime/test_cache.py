"""The cache folder: made once and whole, the least recently used leaves, nobody is disturbed."""

import math
import os
import random
import shutil
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from kerascnn import InputError
from kerascnn.runtime import cache
from kerascnn.runtime.cache import cache_folder, cached, clear, entries, limit_bytes, scratch

SIZE = 20_000  # bytes, of which an entry takes a little more


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KERASCNN_CACHE_LIMIT_GB", raising=False)
    monkeypatch.setattr(cache, "_unseen_bytes", math.inf)  # as in a new process
    return tmp_path / "cache"


def limit(monkeypatch, size):
    monkeypatch.setenv("KERASCNN_CACHE_LIMIT_GB", str(size / 1e9))


def use(key, kind="packed", build=None):
    """What the entry of this key says, which is the key itself, many times."""

    def fill(folder):
        (folder / "content").write_text(key * (SIZE // len(key)))

    return cached(kind, key, f"all {key}", build or fill, lambda f: (f / "content").read_text())


def keys():
    return {entry.key for entry in entries()}


def test_an_entry_is_built_once_and_says_what_it_is():
    assert use("aa") == use("aa", build=lambda folder: pytest.fail("built again")) == "aa" * 10_000
    (entry,) = entries()
    assert (entry.kind, entry.key, entry.about, entry.whole) == ("packed", "aa", "all aa", True)
    assert SIZE < entry.bytes < 2 * SIZE


def test_many_small_entries_are_seldom_looked_at(monkeypatch):
    limit(monkeypatch, 1000 * SIZE)
    looks, entries_of = [], cache.entries
    monkeypatch.setattr(cache, "entries", lambda kinds: looks.append(1) or entries_of(kinds))
    for number in range(30):
        use(f"{number:04d}", "shards")
    assert 3 <= len(looks) <= 4  # at first, and then for each 1% of the limit


def test_the_same_key_of_another_kind_is_another_entry():
    assert use("aa") == use("aa", "activations")
    assert len(entries()) == 2


def test_of_a_build_that_fails_nothing_is_left(folder):
    def fail(built):
        (built / "content").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use("aa", build=fail)
    assert [path.name for path in (folder / "packed").iterdir()] == ["aa.lock"]
    assert use("aa").startswith("aaaa")


KILLED = """
import os, signal
from kerascnn.runtime.cache import cached

def build(folder):
    (folder / "content").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

cached("packed", "aa", "", build, lambda folder: None)
"""


@pytest.fixture
def killed(folder):
    """A build was killed in the middle."""
    ended = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(list((folder / "packed").rglob("content"))) == 1


def test_of_a_killed_build_nothing_is_believed(killed, folder):
    assert [entry.whole for entry in entries()] == [False]
    assert use("aa").startswith("aaaa")
    assert len(list((folder / "packed").rglob("content"))) == 1


def test_what_a_killed_build_left_goes_with_the_next_one(killed, folder):
    use("bb")
    assert keys() == {"bb"}


def test_what_a_killed_build_left_is_cleared(killed):
    assert [entry.key for entry in clear("packed")] == ["aa"]
    assert not entries()


def test_the_least_recently_used_leave(monkeypatch):
    limit(monkeypatch, 3.9 * SIZE)
    for key in ("aa", "bb", "cc", "aa"):
        use(key)
    use("dd", "activations")
    assert keys() == {"cc", "aa", "dd"}
    assert [entry.key for entry in entries()] == ["dd", "aa", "cc"]


def test_what_was_just_made_stays_even_if_it_alone_is_too_large(monkeypatch):
    limit(monkeypatch, SIZE / 2)
    use("aa")
    use("bb")
    assert keys() == {"bb"}


def test_what_somebody_holds_stays(monkeypatch, folder):
    limit(monkeypatch, SIZE / 2)
    use("aa")
    with FileLock(folder / "packed" / "aa.lock"):
        use("bb")
        assert keys() == {"aa", "bb"}
        assert [entry.key for entry in clear()] == ["bb"]


def test_an_open_reader_is_not_disturbed(monkeypatch):
    limit(monkeypatch, SIZE / 2)
    numbers = np.arange(SIZE)
    read = cached(
        "packed",
        "aa",
        "",
        lambda folder: np.save(folder / "numbers.npy", numbers),
        lambda folder: np.load(folder / "numbers.npy", mmap_mode="r"),
    )
    use("bb")
    assert keys() == {"bb"}
    np.testing.assert_array_equal(read, numbers)


def use_at_random(seed, ready):
    ready.wait()
    choose = random.Random(seed)
    for _ in range(60):
        key = choose.choice(["aa", "bb", "cc", "dd", "ee"])
        assert use(key) == key * (SIZE // 2)


def test_processes_that_evict_from_each_other_read_what_they_asked_for(monkeypatch, folder):
    limit(monkeypatch, 2.9 * SIZE)
    context = get_context("spawn")
    ready = context.Barrier(2)
    processes = [context.Process(target=use_at_random, args=(seed, ready)) for seed in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    use("ff")
    assert len(entries()) <= 2
    assert {path.suffix for path in (folder / "packed").iterdir()} == {"", ".lock"}


def test_by_default_the_limit_is_half_of_what_would_be_free_without_the_cache(folder):
    use("aa")
    free = shutil.disk_usage(folder).free
    assert limit_bytes() == pytest.approx((free + entries()[0].bytes) / 2, rel=0.01)


@pytest.mark.parametrize("asked", ["0", "-1", "nan", "inf", "much"])
def test_a_limit_that_is_none_is_refused_before_the_work(monkeypatch, asked):
    monkeypatch.setenv("KERASCNN_CACHE_LIMIT_GB", asked)
    with pytest.raises(InputError, match=f"KERASCNN_CACHE_LIMIT_GB={asked}: expected a number"):
        use("aa", build=lambda folder: pytest.fail("built"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_one_sentence(folder):
    def build(built):
        with Path("/dev/full").open("w") as full:
            full.write("x" * SIZE)

    with pytest.raises(InputError, match="No space left") as raised:
        use("aa", build=build)
    assert str(folder) in str(raised.value)
    assert "KERASCNN_CACHE" in str(raised.value)
    assert not entries()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match=r"cannot write to the cache folder .*file/cache"):
        use("aa")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_one_sentence(folder):
    cache_folder("packed").chmod(0o500)
    with pytest.raises(InputError, match="cannot write to the cache folder"):
        use("aa")


def test_an_error_of_the_builder_stays_its_own(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        use("aa", build=lambda folder: (tmp_path / "absent").read_text())


def test_downloads_are_listed_and_leave_only_when_asked(monkeypatch):
    limit(monkeypatch, SIZE / 2)
    downloads = cache_folder("downloads")
    (downloads / "photos.tgz").write_text("x" * SIZE)
    (downloads / "photos.tgz.sha256").write_text("0")
    (downloads / "photos.tgz.lock").write_text("")
    (downloads / "photos.tgz.unpacked").mkdir()
    (downloads / "photos.tgz.unpacked" / "rose.jpg").write_text("x" * SIZE)
    use("aa")
    use("bb")
    (entry,) = entries(["downloads"])
    assert (entry.key, entry.whole) == ("photos.tgz", True)
    assert entry.bytes > 2 * SIZE
    with FileLock(downloads / "photos.tgz.unpacked.lock"):  # as if it were unpacked just now
        assert clear("downloads") == []
    assert clear("downloads") == [entry]
    assert keys() == {"bb"}
    assert {path.suffix for path in downloads.iterdir()} == {".lock"}


def test_what_is_not_to_be_kept_stays_as_long_as_it_is_used(folder):
    with scratch("activations") as made:
        (made / "content").write_text("in use")
        (entry,) = entries()
        assert not entry.whole
        assert clear() == []
        assert (made / "content").read_text() == "in use"
    assert list((folder / "activations").iterdir()) == []


def test_what_a_killed_process_did_not_want_to_keep_is_cleared():
    left = cache_folder("sources") / "aa.scratch"
    left.mkdir()
    assert [entry.key for entry in clear()] == ["aa"]
    assert not left.exists()
