"""The shards that addresses name, with what changes when their content does."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from kerascnn import (
    InputError,
    Shard,
    Splits,
    TarFormat,
    copied_shard,
    expand_braces,
    shard_splits,
    splits_by_name,
)
from kerascnn_remote.download import Download
from kerascnn_remote.place import Place

AT_ONCE = 16  # shards that are asked for their size
_STATES = ("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "updated", "Last-Modified")


def remote_splits(params: Any) -> Splits:
    asked = {"train": params.url, "validation": params.validation, "test": params.test}
    urls = {split: _urls(params, of) for split, of in asked.items() if of is not None}
    names = _names(list(dict.fromkeys(chain.from_iterable(urls.values()))))
    if list(urls) == ["train"]:
        urls = splits_by_name(names)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="kerascnn-remote") as pool:
        asked_for = [
            pool.submit(copy_context().run, _shard, params, url, name)
            for url, name in names.items()
        ]
        shards = dict(zip(names, (future.result() for future in asked_for), strict=True))
    found = {split: [shards[url] for url in of_split] for split, of_split in urls.items()}
    file = params.class_names
    class_names = file.expanduser().read_text("utf-8-sig").splitlines() if file else None
    return shard_splits(found, TarFormat(params.label, params.image), params, class_names)


def _urls(params: Any, patterns: Any) -> list[str]:
    every = (patterns,) if isinstance(patterns, str) else patterns
    expanded = chain.from_iterable(map(expand_braces, every))
    return list(dict.fromkeys(chain.from_iterable(_listed(params, url) for url in expanded)))


def _listed(params: Any, url: str) -> Iterator[str]:
    if not url.endswith("/") and "*" not in url:
        yield url
        return
    place = _place(params, url)

    def ask(files: Any) -> list[str]:
        found = files.find(url) if url.endswith("/") else files.glob(url)
        return [str(files.unstrip_protocol(path)) for path in sorted(found)]

    found = [one for one in place.asked("the files", url, ask) if one.endswith(".tar")]
    if not found:
        raise InputError(f'no .tar files at "{url}". Check the address; `*` does not cross "/".')
    yield from found


def _shard(params: Any, url: str, name: str) -> Shard:
    place = _place(params, url)
    info = place.asked("the size", url, lambda files: files.info(url))
    size = info.get("size")
    if not size:
        raise InputError(
            f'cannot use "{url}": the server does not say how large it is, or it is empty. Copy '
            "the shards to this machine, and use tar_shards."
        )
    state = next((str(info[key]) for key in _STATES if info.get(key)), "")
    return copied_shard(name, url, state, size, Download(place, url, size, params.connections))


def _place(params: Any, url: str) -> Place:
    return Place(urlsplit(url).scheme, params.anonymous, params.timeout_seconds)


def _names(urls: Sequence[str]) -> dict[str, str]:
    """Each address relative to the one that all are below."""
    paths = {url: PurePosixPath(urlsplit(url).netloc + urlsplit(url).path) for url in urls}
    root = paths[urls[0]].parent
    while not all(path.parent.is_relative_to(root) for path in paths.values()):
        root = root.parent
    return {url: path.relative_to(root).as_posix() for url, path in paths.items()}
