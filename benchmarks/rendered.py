"""Rendered JPEGs, no two alike, at the cost of copying their bytes; and tar shards of them."""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

BASES, SIDE, PER_SHARD = 64, 512, 500


class _Jpeg(NamedTuple):
    """A JPEG with a restart marker after every row of blocks: each can be decoded by itself."""

    head: bytes
    rows: list[bytes]

    @classmethod
    def of(cls, pixels: np.ndarray) -> "_Jpeg":
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90, restart_marker_rows=1)
        content = file.getvalue()
        scan = content.index(b"\xff\xda")
        scan += 2 + int.from_bytes(content[scan + 2 : scan + 4], "big")
        return cls(content[:scan], re.split(rb"\xff[\xd0-\xd7]", content[scan:-2]))

    def joined(self) -> bytes:
        """The file; the markers count from 0 to 7 over and over."""
        marked = (row + bytes([0xFF, 0xD0 + at % 8]) for at, row in enumerate(self.rows[:-1]))
        return self.head + b"".join(marked) + self.rows[-1] + b"\xff\xd9"


def rendered(count: int, first: int = 0) -> Iterator[tuple[str, bytes]]:
    """Noise that gets brighter downwards, in two class folders; each is made of rows of others."""
    rng, bases = np.random.default_rng(0), list[_Jpeg]()
    for _ in range(BASES):
        shade = np.linspace(0, 160, SIDE)[:, None, None] + rng.integers(0, 96, (SIDE, SIDE, 3))
        bases.append(_Jpeg.of(shade.astype(np.uint8)))
    head, length = bases[0].head, len(bases[0].rows)
    for number in range(first, first + count):
        chosen = np.random.default_rng(number).integers(0, BASES, length)
        rows = [bases[base].rows[at] for at, base in enumerate(chosen.tolist())]
        yield f"{number % 2}/{number:08d}.jpg", _Jpeg(head, rows).joined()


def splits_of(images: int, others: int = 4) -> Iterator[tuple[str, Iterator[tuple[str, bytes]]]]:
    """Rendered images of each split, so that none has to be drawn."""
    first = 0
    for split, count in {"train": images, "val": others, "test": others}.items():
        yield split, rendered(count, first)
        first += count


def write_shards(folder: Path, split: str, files: Iterable[tuple[str, bytes]]) -> int:
    """Tar shards in class folders; returns the bytes of the images."""
    folder.mkdir(parents=True, exist_ok=True)
    files, total, shard = iter(files), 0, 0
    while part := list(islice(files, PER_SHARD)):
        with tarfile.open(folder / f"{split}-{shard:05d}.tar", "w") as tar:
            for path, content in part:
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
                total += len(content)
        shard += 1
    return total


def write_folder(folder: Path, split: str, files: Iterable[tuple[str, bytes]]) -> None:
    """Split folders of class folders."""
    for path, content in files:
        file = folder / split / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
