"""The packed store: every picture decoded and resized once, and found again by its content."""

import hashlib
import math
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL

from kerascnn.cache import cached, limit_bytes
from kerascnn.data.images import Resizing
from kerascnn.data.stream import Images, Rows, StreamedImages, Take, Workers, prepare
from kerascnn.errors import InputError, RunError
from kerascnn.hookspecs import Source

PREPARATION = 3  # raise when `prepare` gives something else, or it is kept otherwise
_COLUMNS = ("labels", "digests", "files")
_NAMED = 20  # so many unreadable pictures are named, the others counted

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Packed:
    """One split, ready to train on.

    Args:
        images: uint8 [N, S, S, 3], read from the store or, where that would be too large, from
            the source whenever they are asked for.
        labels: int64 [N].
        digests: SHA-256 of each prepared picture, uint8 [N, 32].
        fingerprint: Of the source: the same whatever size its pictures are packed at.
        key: The hash of all that decides images and labels.
        source: Where they come from.
        files: bool [N], whether a picture comes from a file.
    """

    images: Images
    labels: np.ndarray
    digests: np.ndarray
    fingerprint: str
    key: str
    source: Source = field(repr=False)
    files: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def streamed(self) -> bool:
        """Whether the images are decoded anew whenever they are asked for."""
        return isinstance(self.images, StreamedImages)

    def name(self, index: int) -> str:
        """Where a picture comes from: its path, or its index in the source."""
        return str(self.source[int(index)][0] if self.files[index] else index)


def pack(
    source: Source,
    size: int,
    how: Resizing,
    progress: Progress = lambda done, total: None,
    *,
    stream_above: float | None = None,
    what: str = "a dataset",
) -> Packed:
    """Packs a source, or finds it packed.

    Args:
        source: The pictures and labels.
        size: Pixels, height and width of the packed pictures.
        how: "crop", "pad" or "stretch": how a picture becomes square.
        progress: Called with the pictures done and their number.
        stream_above: Bytes of packed pictures from which they are not stored; default as many as
            the cache may hold.
        what: What it is, for people.

    Raises:
        InputError: Pictures that cannot be read, each named with its fault.
    """
    workers = Workers(source)
    identity = _fingerprint(workers)
    key = _sha256(f"{identity} {size} {how} {PREPARATION} Pillow {PIL.__version__}".encode())
    limit = limit_bytes() if stream_above is None else stream_above
    streamed = len(source) * size * size * 3 > limit
    take = partial(prepare, size=size, how=how)

    def build(folder: Path) -> None:
        _build(folder, workers, take, _COLUMNS if streamed else (*_COLUMNS, "images"), progress)

    def read(folder: Path) -> Packed:
        columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _COLUMNS}
        images = (
            StreamedImages(workers, take, size, columns["digests"])
            if streamed
            else StoredImages(folder / "images.npy")
        )
        return Packed(images, **columns, fingerprint=identity, key=key, source=source)

    return cached(
        "packed",
        _sha256(f"{key} streamed".encode()) if streamed else key,
        f"{len(source):,} pictures at {size} px of {what}{', streamed' if streamed else ''}",
        build,
        read,
    )


def _fingerprint(workers: Workers) -> str:
    """The source's own fingerprint, or the SHA-256 of its pictures and labels."""
    own = getattr(workers.source, "fingerprint", None)
    if own is not None:
        return str(own)
    digest = hashlib.sha256()
    for contents in workers.map(_contents, range(len(workers.source))):
        digest.update(contents.encode())
    return digest.hexdigest()


def _contents(source: Source, rows: Rows) -> str:
    return "".join(_content(*source[row]) for row in rows)


def _content(image: Any, label: int) -> str:
    if isinstance(image, np.ndarray):
        data = str(image.shape).encode() + np.ascontiguousarray(image).tobytes()
    else:
        data = image if isinstance(image, bytes) else _bytes(Path(image))
    return f"{_sha256(data)} {label}\n"


def _bytes(path: Path) -> bytes:
    """What is in the file; nothing where it cannot be read, which `_build` then says."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _build(
    folder: Path, workers: Workers, take: Take, columns: Sequence[str], progress: Progress
) -> None:
    """Writes the columns of the pictures, each into a file of its own, from first to last.

    Not through a memory map, whose pages would stay in memory until they are on the disk.
    """
    count, none = len(workers.source), take(workers.source, ())
    done, bad, named = 0, 0, list[str]()
    with ExitStack() as opened:
        files = {
            name: opened.enter_context(_array_file(folder, name, getattr(none, name), count))
            for name in columns
        }
        for made in workers.map(take, range(count), math.prod(none.images.shape[1:])):
            for name, file in files.items():
                file.write(getattr(made, name))
            bad, named = bad + len(made.faults), (named + made.faults)[:_NAMED]
            done += len(made.labels)
            progress(done, count)
    if bad:
        raise InputError(_unreadable(bad, named))


def _array_file(folder: Path, name: str, like: np.ndarray, count: int) -> IO[bytes]:
    """An .npy file of `count` such rows, which are to follow."""
    file = (folder / f"{name}.npy").open("wb")
    descr = np.lib.format.dtype_to_descr(like.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": (count, *like.shape[1:])}
    np.lib.format.write_array_header_1_0(file, header)
    return file


def _unreadable(bad: int, named: list[str]) -> str:
    more = f"\nand {bad - len(named)} more" if bad > len(named) else ""
    return f"{bad} pictures cannot be read; remove or replace them:\n{chr(10).join(named)}{more}"


class StoredImages(Images):
    """Pictures in an .npy file, uint8 [N, S, S, 3].

    They are read, not mapped: the pages of a map that were once touched count as memory in use,
    up to the whole file. A batch of 64 takes 0.3 ms at 64 px and 0.7 at 160, out of a map the half.
    """

    def __init__(self, file: Path) -> None:
        self._map = np.load(file, mmap_mode="r")  # [N, S, S, 3]
        super().__init__(self._map.shape)
        self._descriptor = os.open(file, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        if not hasattr(os, "preadv"):  # on Windows
            return self._map[rows]
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        size, start = math.prod(self.shape[1:]), self._map.offset
        for image, row in zip(images, rows.tolist(), strict=True):
            if os.preadv(self._descriptor, [image.data], start + row * size) < size:
                raise RunError(
                    "the packed pictures are cut off; `kerascnn cache clear` removes them."
                )
        return images


def duplicates_across(splits: dict[str, Packed]) -> Iterator[tuple[str, str]]:
    """Pairs of pictures that are equal after preparation but stand in different splits."""
    heads = {
        split: packed.digests[:, :8].copy().view(np.uint64)[:, 0]
        for split, packed in splits.items()
    }
    ordered = np.sort(np.concatenate(list(heads.values())))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    seen: dict[bytes, tuple[str, str]] = {}
    for split, packed in splits.items():
        for index in np.flatnonzero(np.isin(heads[split], repeated)).tolist():
            here = split, f"{split}: {packed.name(index)}"
            first = seen.setdefault(packed.digests[index].tobytes(), here)
            if first[0] != split:
                yield first[1], here[1]
