"""Copies of shards that are elsewhere, kept in the cache while there is room for them."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kerascnn.engine.data.shards.shard import Shard
from kerascnn.engine.data.sources.download import reported, require_downloads
from kerascnn.runtime.cache import cached, entries, limit_bytes, remove
from kerascnn.runtime.shared_file import SharedFile

Fetch = Callable[[Path, Callable[[int], None]], None]

_KIND, _FILE = "copies", "shard"
_SHARE = 0.5  # of the cache's limit, so that packed images and activations keep their place


def copied_shard(name: str, url: str, state: str, size: int, fetch: Fetch) -> Shard:
    """A shard that is elsewhere; it is copied when an image in it is read.

    The copies used last stay, up to half of the cache's limit; a copy that is open can be read to
    the end.

    Args:
        name: For messages and reports.
        url: Where it is.
        state: Changes whenever the content does, such as its ETag.
        size: In bytes.
        fetch: `fetch(path, progress)` writes the whole file, or raises; `progress` receives the
            number of bytes done, from any thread. `cloudpickle` must be able to send it.
    """
    open_copy = partial(_open, name, url, state, size, fetch)
    return Shard(name, f"{url} {state} {size}", open_copy)


def _open(name: str, url: str, state: str, size: int, fetch: Fetch) -> SharedFile:
    key = hashlib.sha256(f"{url} {state} {size}".encode()).hexdigest()
    made = False

    def make(folder: Path) -> None:
        nonlocal made
        require_downloads(name, url, size)
        _make_room(size)
        fetch(folder / _FILE, reported(name, size))
        made = True

    file = cached(_KIND, key, name, make, lambda folder: SharedFile(folder / _FILE))
    if made:
        _make_room(0, but=key)
    return file


def _make_room(size: int, but: str = "") -> None:
    """Removes the copies used least recently, down to their share of the cache."""
    left = limit_bytes() * _SHARE - size
    for entry in entries([_KIND]):  # the last used first
        left -= entry.bytes
        if left < 0 and entry.key != but:
            remove(_KIND, entry.key)
