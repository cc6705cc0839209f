"""Identifies the images of a source by their content."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import NamedTuple

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources.download import NotAtHandError
from kerascnn.engine.data.sources.files import content_of
from kerascnn.engine.data.sources.reading import reader, source_faults
from kerascnn.engine.data.sources.source import Known
from kerascnn.engine.data.sources.workers import Rows, Workers, piece_length
from kerascnn.engine.data.store.stream import PreparedImages, Preparing, digest_of
from kerascnn.errors import InputError, SourceError
from kerascnn.hookspecs import Source
from kerascnn.runtime.rows.store import RowStore

IDENTITY = np.dtype(
    [
        ("content", np.uint8, (32,)),  # SHA-256
        ("label", np.int64),
        ("is_file", np.bool_),  # whether it is a path
        ("is_readable", np.bool_),
    ]
)
"""What is known of an image before it is prepared."""

Keep = Callable[[Sequence[PreparedImages]], None]
OnProgress = Callable[[int, int], None]

_VERSION = 1  # raise when `content_of` or `IDENTITY` changes
_BLOCK = 2**16  # images; a million of them take 42 MB
_KEEP_SECONDS, _KEEP_BYTES = 4.0, 2**24  # of prepared images, at most, until they are stored


@dataclass(frozen=True)
class Identified:
    """The images of a source.

    Args:
        fingerprint: The source's own, or the SHA-256 of its images and labels.
        remembered: Whether the images were read before, under the source's own fingerprint.
        blocks: Gives the images in order, in arrays of dtype `IDENTITY`, whenever it is called.
    """

    fingerprint: str
    remembered: bool
    blocks: Callable[[], Iterator[np.ndarray]]


def identify(
    workers: Workers,
    preparation: Preparation,
    also: Sequence[Preparation],
    keep: Keep,
    on_progress: OnProgress,
) -> Identified:
    """Identifies the images of a source; those with a fingerprint of its own once for all time.

    Then arrays are prepared as well: to read them again would mean to draw them again.

    Args:
        also: Other preparations of the images.
        keep: Stores images that have been prepared.
        on_progress: Called with the number of images read and the number to read.
    """
    source = workers.source
    with workers.named(), source_faults("source.fingerprint"):
        own = getattr(source, "fingerprint", None)
    if own is None:
        pieces = workers.map(_identify, range(workers.count))
        identities = np.concatenate(
            [np.empty(0, IDENTITY), *(piece.identities for piece in pieces)]
        )
        return Identified(_known(identities).fingerprint, False, partial(_cut, identities))
    known = getattr(source, "known", None)
    if isinstance(known, Known):
        return Identified(str(own), False, partial(_cut, _of_known(known)))
    reading = _Reading(workers, preparation, also, keep, on_progress)
    return Identified(str(own), True, reading.remembered(str(own)))


class _Seen(NamedTuple):
    """Some images of a source that have been read, and those of them that have been prepared."""

    rows: Rows
    identities: np.ndarray
    prepared: PreparedImages | None


def _identify(
    source: Source,
    rows: Rows,
    preparation: Preparation | None = None,
    also: Sequence[Preparation] = (),
) -> _Seen:
    identities = np.empty(len(rows), IDENTITY)
    preparing = preparation and Preparing(preparation, also)
    read = reader(source, rows)
    for at, row in enumerate(rows):
        try:
            image, label = read(row)
            content, is_file = content_of(image), isinstance(image, str | PathLike)
            if preparing and hasattr(image, "dtype"):
                preparing.add(row, image, content)
        except (SourceError, NotAtHandError):
            raise
        except InputError as error:  # reported when it is to be prepared
            identities[at] = digest_of(str(error).encode()), -1, False, False
        else:
            identities[at] = digest_of(content), label, is_file, bool(content)
    return _Seen(rows, identities, preparing.images() if preparing else None)


class _Reading:
    """Reads the images of a source with a fingerprint of its own, and remembers what they are."""

    def __init__(
        self,
        workers: Workers,
        preparation: Preparation,
        also: Sequence[Preparation],
        keep: Keep,
        on_progress: OnProgress,
    ) -> None:
        self._workers, self._keep, self._on_progress = workers, keep, on_progress
        self._take = partial(_identify, preparation=preparation, also=also)
        self._piece = piece_length(workers.count, 3 * preparation.packed_size**2)
        self._done = 0

    def remembered(self, fingerprint: str) -> Callable[[], Iterator[np.ndarray]]:
        """The images, in blocks; those that cannot be read are read again every time."""
        count = self._workers.count
        key = hashlib.sha256(f"identities {_VERSION}".encode()).hexdigest()
        store = RowStore("packed", key, "labels and hashes", {"identities": (IDENTITY, ())})
        for rows in _blocks(count):
            store.fill(_keys(fingerprint, rows), partial(self._make, rows), self._piece)
        return partial(_read, store, fingerprint, count)

    def _make(
        self, rows: range, claims: Iterator[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        pieces = ((rows[0] + claimed).tolist() for claimed in claims)
        for seen in self._kept(self._workers.map_pieces(self._take, pieces)):
            readable = seen.identities["is_readable"]
            chosen = np.array(seen.rows)[readable] - rows[0]
            yield chosen, {"identities": seen.identities[readable]}
            self._done += len(seen.rows)
            self._on_progress(self._done, self._workers.count)

    def _kept(self, pieces: Iterator[_Seen]) -> Iterator[_Seen]:
        """Passes pieces on when their prepared images are stored."""
        held, since = list[_Seen](), time.monotonic()
        for piece in pieces:
            held.append(piece)
            size = sum(made.images.nbytes for made in _prepared(held))
            if size >= _KEEP_BYTES or time.monotonic() - since >= _KEEP_SECONDS:
                yield from self._stored(held)
                held, since = [], time.monotonic()
        yield from self._stored(held)

    def _stored(self, pieces: list[_Seen]) -> list[_Seen]:
        if prepared := _prepared(pieces):
            self._keep(prepared)
        return pieces


def _prepared(pieces: Sequence[_Seen]) -> list[PreparedImages]:
    return [seen.prepared for seen in pieces if seen.prepared and len(seen.prepared.rows)]


def _blocks(count: int) -> Iterator[range]:
    return (range(first, min(count, first + _BLOCK)) for first in range(0, count, _BLOCK))


def _keys(fingerprint: str, rows: range) -> np.ndarray:
    """The keys of the images of a source: its hash, and the number of each: uint8 [N, 32].

    The number is in the first 8 bytes, which tell rows apart most quickly.
    """
    hashed = np.frombuffer(hashlib.sha256(fingerprint.encode()).digest(), np.uint64)
    keys = np.tile(hashed, (len(rows), 1))
    keys[:, 0] += np.arange(rows.start, rows.stop, dtype=np.uint64)
    return keys.view(np.uint8)


def _read(store: RowStore, fingerprint: str, count: int) -> Iterator[np.ndarray]:
    for rows in _blocks(count):
        places = store.find(_keys(fingerprint, rows))
        identities = np.zeros(len(rows), IDENTITY)
        identities[places >= 0] = store.read("identities", places[places >= 0])
        yield identities


def _cut(identities: np.ndarray) -> Iterator[np.ndarray]:
    return (identities[rows.start : rows.stop] for rows in _blocks(len(identities)))


def contents_of(identities: np.ndarray) -> np.ndarray:
    """The SHA-256 of the content of each image: uint8 [N, 32]."""
    return np.ascontiguousarray(identities["content"])


def _of_known(known: Known) -> np.ndarray:
    identities = np.ones(len(known.labels), IDENTITY)
    identities["content"] = np.frombuffer(known.contents, np.uint8).reshape(-1, 32)
    identities["label"], identities["is_file"] = known.labels, known.files
    return identities


def _known(identities: np.ndarray) -> Known:
    labels, files = identities["label"].tolist(), identities["is_file"].tolist()
    return Known(contents_of(identities).tobytes(), labels, files)
