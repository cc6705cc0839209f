"""The packed store: every image is decoded and resized once, and found again by its content."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from kerascnn.components.component import RegisteredComponent
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources.reading import name_of
from kerascnn.engine.data.sources.workers import Workers
from kerascnn.engine.data.store.identify import OnProgress
from kerascnn.engine.data.store.packed import Packed, sha256
from kerascnn.engine.data.store.packed_store import PackedStore, is_streamed
from kerascnn.engine.data.store.packing import Packing
from kerascnn.engine.data.store.stored import Stored
from kerascnn.engine.data.store.stream import Images, StreamedImages, prepare_rows
from kerascnn.errors import InputError
from kerascnn.hookspecs import Source
from kerascnn.runtime.text import itemized

_NAMED = 20  # unreadable images that are named; the others are counted


class BadImagesError(InputError):
    """Images that cannot be read; `faults` names each with its fault."""

    def __init__(self, faults: Sequence[str], what_to_do: str = "Repair, replace or remove them."):
        self.faults = faults
        bad = itemized("{} cannot be read", faults, len(faults), _NAMED)
        super().__init__(f"{bad}\n{what_to_do}")


def pack(
    source: Source,
    preparation: Preparation,
    on_progress: OnProgress = lambda done, total: None,
    *,
    stream_above: float | None = None,
    skip_bad: bool = False,
    dataset: RegisteredComponent | None = None,
) -> Packed:
    """Packs the images of a source that are not packed yet, whatever source they came from.

    Args:
        on_progress: Called with the number of images packed and the number to pack.
        stream_above: Bytes of packed images above which they are not stored; default the limit
            of the cache.
        skip_bad: Leave out images that cannot be read; else they raise BadImagesError.
        dataset: Whose source it is, for messages.
    """
    workers, size = Workers(source, dataset), preparation.packed_size
    streamed = is_streamed(workers.count, preparation, stream_above)
    store = PackedStore(preparation, streamed)
    packing = Packing(workers, store, on_progress)
    stored, faults = packing.stored, packing.faults
    take = partial(prepare_rows, preparation=preparation)
    packed = Packed(
        StreamedImages(workers, take, size, stored) if streamed else StoredImages(stored, size),
        labels=packing.labels,
        stored=stored,
        fingerprint=packing.fingerprint,
        key=sha256(f"{packing.fingerprint} {store.decides}".encode()),
        source=source,
        files=packing.files,
        value_range=preparation.value_range,
        made=packing.made,
    )
    if not faults:
        return packed
    named = [f"{name_of(source, row)}: {reason}" for row, reason in faults]
    if not skip_bad:
        raise BadImagesError(named)
    return packed.without([fault.row for fault in faults], named)


class StoredImages(Images):
    """Images in the store, uint8 [N, P, P, 3], of which those that are used are read."""

    def __init__(self, stored: Stored, size: int) -> None:
        super().__init__((len(stored), size, size, 3))
        self._stored = stored

    def _read(self, rows: np.ndarray) -> np.ndarray:
        return self._stored.images(rows)
