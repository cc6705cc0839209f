"""Near copies among images that are not packed yet, by perceptual hashes in the cache."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from kerascnn.engine.data.hashes import HASH_WORDS, near_rows
from kerascnn.engine.data.images import decoders
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.stream import prepare_rows
from kerascnn.engine.data.workers import Workers
from kerascnn.hookspecs import Source
from kerascnn.runtime.cache import cached

_VERSION = 1  # raise when `perceptual_hash` changes
_SIZE = 160  # pixels: the limits in `hashes` were measured at it, and it is the default to train on
_KEPT_AT_ONCE = 1000  # so that an interruption loses the hashes of only a few images
_FILE = "hashes"
_RECORD = np.dtype([("content", "V32"), ("hash", np.uint64, (HASH_WORDS,))])

T = TypeVar("T")
Hashes = dict[str, np.ndarray]
"""Content to perceptual hash, uint64 [8]."""


def near_copies(source: Source, images: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Finds images of the same class that are nearly equal: flipped, resized or re-saved.

    Each content is decoded once, as the user's cache keeps its hash. Unreadable images, plain ones
    and those of a class with more than 22,000 images are not compared.

    Args:
        source: The images.
        images: Content hash (SHA-256, hexadecimal) and class name of each image, in the order of
            the source.

    Returns:
        Pairs of content hashes, for `draw_splits`.
    """
    hashes = _hashes(source, {content: row for row, (content, _) in enumerate(images)})
    contents = sorted(hashes)
    rows = {content: row for row, content in enumerate(contents)}
    classes: dict[str, set[int]] = defaultdict(set)
    for content, label in images:
        if content in rows:
            classes[label].add(rows[content])
    values = np.array([hashes[content] for content in contents], np.uint64).reshape(-1, HASH_WORDS)
    pairs = near_rows(values, (np.array(sorted(found)) for found in classes.values()))
    return sorted({(contents[one], contents[other]) for one, other in pairs})


def _hashes(source: Source, rows: Mapping[str, int]) -> Hashes:
    """The hash of each content that can be read; `rows` are its places in the source."""
    known = _stored(partial(_load, contents=set(rows)))
    missing = [content for content in rows if content not in known]
    workers = Workers(source)
    for first in range(0, len(missing), _KEPT_AT_ONCE):
        piece = missing[first : first + _KEPT_AT_ONCE]
        made = _made(workers, piece, [rows[content] for content in piece])
        _stored(partial(_append, made=made))
        known |= made
    return known


def _made(workers: Workers, contents: Sequence[str], rows: Sequence[int]) -> Hashes:
    pieces = workers.map(partial(prepare_rows, preparation=Preparation(_SIZE)), rows)
    by_row = dict(zip(rows, contents, strict=True))
    return {
        by_row[row]: value
        for piece in pieces
        for row, value in zip(piece.rows.tolist(), piece.hashes, strict=True)
    }


def _stored(use: Callable[[Path], T]) -> T:
    """Calls `use` with the cache's folder of hashes, which no other process uses meanwhile."""
    key = hashlib.sha256(f"{_VERSION} {_SIZE} {decoders()}".encode()).hexdigest()
    about = "perceptual hashes of images, which find near copies"
    return cached("hashes", key, about, lambda folder: (folder / _FILE).touch(), use)


def _load(folder: Path, contents: set[str]) -> Hashes:
    content = (folder / _FILE).read_bytes()
    records = np.frombuffer(content, _RECORD, count=len(content) // _RECORD.itemsize)
    names = (name.hex() for name in records["content"].tolist())
    rows = {name: row for row, name in enumerate(names) if name in contents}
    return {name: records["hash"][row] for name, row in rows.items()}


def _append(folder: Path, made: Hashes) -> None:
    records = np.empty(len(made), _RECORD)
    records["content"] = [bytes.fromhex(content) for content in made]
    for row, value in enumerate(made.values()):
        records["hash"][row] = value
    with open(folder / _FILE, "r+b") as file:
        end = file.seek(0, 2)
        file.seek(end - end % _RECORD.itemsize)  # a killed process may have left part of a record
        file.write(records.tobytes())
