"""Identifies the images of a source by their content, decoding none."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kerascnn.engine.data.files import content_of
from kerascnn.engine.data.reading import read, source_faults
from kerascnn.engine.data.sources import ImageFiles, Known, Subset
from kerascnn.engine.data.workers import Rows, Workers
from kerascnn.errors import InputError, SourceError
from kerascnn.hookspecs import Source
from kerascnn.runtime.cache import cached
from kerascnn.runtime.text import counted

IDENTITY = np.dtype([("content", np.uint8, (32,)), ("label", np.int64), ("is_file", np.bool_)])
"""An image's SHA-256 of its content, its label, and whether it is the path of a file."""

_VERSION = 1  # raise when `content_of` or `IDENTITY` changes
_BLOCK = 2**16  # images; a million of them take 41 MB
_FILE = "identities"


@dataclass(frozen=True)
class Identified:
    """The images of a source.

    Args:
        fingerprint: The source's own, or the SHA-256 of its images and labels.
        remembered: Whether the images were read before, under the source's own fingerprint.
        blocks: Gives the identities of all images in order, each time it is called, in arrays of
            dtype `IDENTITY`.
    """

    fingerprint: str
    remembered: bool
    blocks: Callable[[], Iterator[np.ndarray]]

    def column(self, name: str) -> np.ndarray:
        """The "label" or "is_file" of each image: [N]."""
        columns = [block[name].copy() for block in self.blocks()]
        return np.concatenate([np.empty(0, IDENTITY)[name], *columns])


def identify(workers: Workers, what: str) -> Identified:
    """Identifies the images of a source; those with a fingerprint of its own once for all time.

    Args:
        what: Name of the source in listings of the cache.
    """
    source = workers.source
    with workers.named(), source_faults("source.fingerprint"):
        own = getattr(source, "fingerprint", None)
    if own is not None and isinstance(source, ImageFiles | Subset) and source.known:
        return Identified(str(own), False, partial(_cut, _of_known(source.known)))
    if own is not None:
        key = hashlib.sha256(f"{_VERSION} {own} {workers.count}".encode()).hexdigest()
        about = f"labels and hashes of {counted(workers.count)} of {what}"
        file = cached("packed", key, about, partial(_write, workers), _open)
        return Identified(str(own), True, partial(_read, file))
    identities = np.concatenate([np.empty(0, IDENTITY), *_identities(workers)])
    return Identified(_known(identities).fingerprint, False, partial(_cut, identities))


def _known(identities: np.ndarray) -> Known:
    contents = [content.tobytes().hex() for content in identities["content"]]
    return Known(contents, identities["label"].tolist(), identities["is_file"].tolist())


def digest_of(data: Any) -> np.ndarray:
    """SHA-256 of bytes or of an array: uint8 [32]."""
    return np.frombuffer(hashlib.sha256(data).digest(), np.uint8)


def contents_of(identities: np.ndarray) -> np.ndarray:
    """The SHA-256 of the content of each image: uint8 [N, 32]."""
    return np.ascontiguousarray(identities["content"])


def _of_known(known: Known) -> np.ndarray:
    identities = np.empty(len(known.labels), IDENTITY)
    contents = np.frombuffer(bytes.fromhex("".join(known.contents)), np.uint8)
    identities["content"] = contents.reshape(-1, 32)
    identities["label"], identities["is_file"] = known.labels, known.files
    return identities


def _identities(workers: Workers) -> Iterator[np.ndarray]:
    return workers.map(_identify, range(workers.count))


def _identify(source: Source, rows: Rows) -> np.ndarray:
    identities = np.empty(len(rows), IDENTITY)
    for at, row in enumerate(rows):
        try:
            image, label = read(source, row)
        except SourceError:
            raise
        except InputError as error:  # reported by whoever decodes it
            image, label = str(error).encode(), -1
        is_file = isinstance(image, str | PathLike)
        identities[at] = digest_of(content_of(image)), label, is_file
    return identities


def _write(workers: Workers, folder: Path) -> None:
    with (folder / _FILE).open("wb") as file:
        for identities in _identities(workers):
            file.write(identities.tobytes())


def _open(folder: Path) -> BinaryIO:
    return (folder / _FILE).open("rb")


def _read(file: BinaryIO) -> Iterator[np.ndarray]:
    file.seek(0)
    while len(identities := np.fromfile(file, IDENTITY, _BLOCK)):
        yield identities


def _cut(identities: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(identities), _BLOCK):
        yield identities[first : first + _BLOCK]
