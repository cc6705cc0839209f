"""Copies of shards that are elsewhere: made when they are read, and removed for others."""

from functools import partial

import pytest
from sharding import encoded, samples, write_tar

from kerascnn import RunError, TarFormat, copied_shard, shard_splits
from kerascnn.components.builtin.tar_shards import TAR_SHARDS
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.shards import copies
from kerascnn.engine.data.shards import source as shard_source
from kerascnn.engine.data.sources.download import NotAtHandError, reporting, without_downloads
from kerascnn.engine.data.store.pack import pack
from kerascnn.runtime.cache import entries, remove


class Elsewhere:
    """Shards of another machine: what is fetched from it, and whether it is there."""

    def __init__(self, folder):
        self.folder, self.fetched, self.gone = folder, [], False
        for number, split in enumerate(("train", "validation", "test")):
            write_tar(folder / split, samples(6, first=6 * number))

    def splits(self):
        shards = {name: [self.shard(name)] for name in ("train", "validation", "test")}
        return shard_splits(shards, TarFormat(), TAR_SHARDS.params(path=self.folder))

    def shard(self, name):
        size = (self.folder / name).stat().st_size
        return copied_shard(
            name, f"far://{self.folder}/{name}", "v1", size, partial(self.fetch, name)
        )

    def fetch(self, name, path, progress):
        if self.gone:
            raise RunError("the other machine is gone.")
        self.fetched.append(name)
        path.write_bytes((self.folder / name).read_bytes())
        progress(path.stat().st_size)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    return Elsewhere(tmp_path)


def evict():
    """As they would be missing in another process, which has no file open."""
    shard_source._opened.cache_clear()
    assert all(remove("copies", entry.key) for entry in entries(["copies"]))


def test_a_copy_is_made_once_and_again_after_it_was_removed(elsewhere):
    seen = []
    with reporting(lambda *told: seen.append(told)):
        source = elsewhere.splits().train
    size = (elsewhere.folder / "train").stat().st_size
    assert ("train", size, size) in seen
    assert elsewhere.splits().train[0] == source[0] == (encoded(0), 0)
    assert sorted(elsewhere.fetched) == ["test", "train", "validation"]
    evict()
    assert elsewhere.splits().train[5] == (encoded(5), 1)
    assert elsewhere.fetched[3:] == ["train"]


def test_copies_have_half_of_the_cache_and_those_used_last_stay(elsewhere, monkeypatch):
    elsewhere.splits()
    size = entries(["copies"])[0].bytes
    monkeypatch.setattr(copies, "limit_bytes", lambda: 5 * size)
    evict()
    for name in ("train", "validation", "test"):
        elsewhere.shard(name).open().close()
    assert [entry.about for entry in entries(["copies"])] == ["test", "validation"]


def test_nothing_is_fetched_where_downloads_are_off(elsewhere):
    with without_downloads(), pytest.raises(NotAtHandError, match="would be downloaded from far:"):
        elsewhere.splits()
    source = elsewhere.splits().train
    evict()
    with without_downloads(), pytest.raises(NotAtHandError):
        pack(source, Preparation(16), skip_bad=True)


def test_images_are_not_taken_for_unreadable_when_their_shard_cannot_be_fetched(elsewhere):
    source = elsewhere.splits().train
    evict()
    elsewhere.gone = True
    with pytest.raises(RunError, match="the other machine is gone"):
        pack(source, Preparation(16), skip_bad=True)
