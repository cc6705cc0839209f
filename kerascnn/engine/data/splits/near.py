"""Near copies among images that are not packed yet, by perceptual hashes in the cache."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from kerascnn.engine.data.decoding.hashes import HASH_WORDS, near_rows
from kerascnn.engine.data.decoding.images import decoders
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources.workers import Workers, piece_length
from kerascnn.engine.data.store.alongside import Alongside
from kerascnn.engine.data.store.stream import prepare_rows
from kerascnn.hookspecs import Source
from kerascnn.runtime.rows.store import RowStore

_VERSION = 2  # raise when `perceptual_hash` changes
_SIZE = 160  # pixels: the limits in `hashes` were measured at it, and it is the default to train on

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
    if not rows:
        return {}
    key = hashlib.sha256(f"{_VERSION} {_SIZE} {decoders()}".encode()).hexdigest()
    about = "perceptual hashes of images, which find near copies"
    store = RowStore("hashes", key, about, {"hash": (np.dtype(np.uint64), (HASH_WORDS,))})
    contents = np.frombuffer(bytes.fromhex("".join(rows)), np.uint8).reshape(-1, 32)
    workers, numbers = Workers(source), list(rows.values())
    place = {row: place for place, row in enumerate(numbers)}
    alongside = Alongside(workers.count)

    def make(claims: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        also = alongside.preparations
        prepare = partial(prepare_rows, preparation=Preparation(_SIZE), also=also)
        pieces = ([numbers[at] for at in claimed] for claimed in claims)
        for made in workers.map_pieces(prepare, pieces):
            alongside.add(made)
            at = np.array([place[row] for row in made.rows], np.int64)
            same = (made.contents == contents[at]).all(axis=1)  # not changed since
            yield at[same], {"hash": made.descriptions["hash"][same]}
        alongside.store()

    store.fill(contents, make, piece_length(len(numbers)))
    places = store.find(contents)
    readable = [content for content, place in zip(rows, places, strict=True) if place >= 0]
    return dict(zip(readable, store.read("hash", places[places >= 0]), strict=True))
