"""The packed store: every picture decoded and resized once, content-addressed, memory-mapped."""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from joblib import Parallel, delayed

from kerascnn.data.cache import cache_folder
from kerascnn.data.images import Resizing, prepare_image
from kerascnn.errors import InputError
from kerascnn.hookspecs import Source
from kerascnn.runtime import available_cores

PREPARATION = 2  # raise when `prepare_image` changes what it gives
_WORTH_PROCESSES_SECONDS = 3.0  # starting them takes one or two
_NAMED = 20  # so many unreadable pictures are named, the others counted

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Packed:
    """One split, ready to train on.

    Args:
        images: uint8 [N, S, S, 3], memory-mapped.
        labels: int64 [N].
        names: Where each picture comes from: its path, or its index in the source.
        digests: SHA-256 of each prepared picture.
        fingerprint: Of the source: the same whatever size its pictures are packed at.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    digests: tuple[str, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)


def pack(
    source: Source, size: int, how: Resizing, progress: Progress = lambda done, total: None
) -> Packed:
    """Packs a source, or finds it packed.

    Args:
        source: The pictures and labels.
        size: Pixels, height and width of the packed pictures.
        how: "crop", "pad" or "stretch": how a picture becomes square.
        progress: Called with the pictures done and their number.

    Raises:
        InputError: Pictures that cannot be read, each named with its fault.
    """
    identity = fingerprint(source)
    key = _sha256(f"{identity} {size} {how} {PREPARATION}".encode())
    store = cache_folder("packed")
    target = store / key
    with FileLock(store / f"{key}.lock"):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=store, prefix=f"{key}.") as scratch:
                built = Path(scratch, "built")
                built.mkdir()
                _build(source, built, size, how, progress)
                built.rename(target)
    return _open(target, source, identity)


def fingerprint(source: Source) -> str:
    """The source's own fingerprint, or the SHA-256 of its pictures and labels."""
    own = getattr(source, "fingerprint", None)
    if own is not None:
        return str(own)
    with ThreadPoolExecutor(available_cores()) as pool:
        parts = pool.map(lambda index: _content(*source[index]), range(len(source)))
        return _sha256("".join(parts).encode())


def _content(image: Any, label: int) -> str:
    if isinstance(image, np.ndarray):
        data = str(image.shape).encode() + np.ascontiguousarray(image).tobytes()
    else:
        data = image if isinstance(image, bytes) else _read(Path(image))
    return f"{_sha256(data)} {label}\n"


def _read(path: Path) -> bytes:
    """What is in the file; nothing where it cannot be read, which `_build` then says."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True)
class _Picture:
    """A prepared picture, or what is wrong with it."""

    pixels: np.ndarray | None
    label: int
    is_file: bool
    fault: str = ""


def _build(source: Source, folder: Path, size: int, how: Resizing, progress: Progress) -> None:
    count = len(source)
    images = np.lib.format.open_memmap(
        folder / "images.npy", mode="w+", dtype=np.uint8, shape=(count, size, size, 3)
    )
    labels, files, digests, bad = np.zeros(count, np.int64), [], [], []
    for index, picture in enumerate(_pictures(source, size, how)):
        if picture.pixels is None:
            bad.append(picture.fault)
        else:
            images[index] = picture.pixels
        labels[index] = picture.label
        files.append(picture.is_file)
        digests.append(_sha256(images[index].tobytes()))
        progress(index + 1, count)
    if bad:
        raise InputError(_unreadable(sorted(bad)))
    images.flush()
    np.save(folder / "labels.npy", labels)
    (folder / "index.json").write_text(json.dumps({"files": files, "digests": digests}))


def _pictures(source: Source, size: int, how: Resizing) -> Iterator[_Picture]:
    """The prepared pictures in order, made in parallel.

    Decoding leaves Python's lock to other threads, drawing holds it: a source that takes long to
    give a picture is asked in processes.
    """
    if not len(source):
        return
    start = time.perf_counter()
    first = source[0]
    seconds = (time.perf_counter() - start) * len(source)
    yield _prepare(0, *first, size, how)
    workers = Parallel(
        available_cores(),
        prefer="processes" if seconds > _WORTH_PROCESSES_SECONDS else "threads",
        return_as="generator",
    )
    yield from workers(delayed(_take)(source, i, size, how) for i in range(1, len(source)))


def _take(source: Source, index: int, size: int, how: Resizing) -> _Picture:
    return _prepare(index, *source[index], size, how)


def _prepare(index: int, image: Any, label: int, size: int, how: Resizing) -> _Picture:
    is_file = isinstance(image, str | Path)
    try:
        return _Picture(prepare_image(image, size, how), label, is_file)
    except InputError as error:
        fault = str(error) if is_file else f"picture {index}: {error}"
        return _Picture(None, label, is_file, fault)


def _unreadable(bad: list[str]) -> str:
    more = f"\nand {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    listed = "\n".join(bad[:_NAMED])
    return f"{len(bad)} pictures cannot be read; remove or replace them:\n{listed}{more}"


def _open(folder: Path, source: Source, identity: str) -> Packed:
    index = json.loads((folder / "index.json").read_text())
    names = [
        str(source[number][0]) if is_file else str(number)  # the file may have moved since
        for number, is_file in enumerate(index["files"])
    ]
    return Packed(
        images=np.load(folder / "images.npy", mmap_mode="r"),
        labels=np.load(folder / "labels.npy"),
        names=tuple(names),
        digests=tuple(index["digests"]),
        fingerprint=identity,
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def duplicates_across(splits: dict[str, Packed]) -> Iterator[tuple[str, str]]:
    """Pairs of pictures that are equal after preparation but stand in different splits."""
    seen: dict[str, tuple[str, str]] = {}
    for split, packed in splits.items():
        for name, digest in zip(packed.names, packed.digests, strict=True):
            first = seen.setdefault(digest, (split, f"{split}: {name}"))
            if first[0] != split:
                yield first[1], f"{split}: {name}"
