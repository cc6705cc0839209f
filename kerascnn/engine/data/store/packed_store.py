"""Where images that are prepared in one way are stored, found by their content."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kerascnn.engine.data.decoding.images import decoders
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.packed import sha256
from kerascnn.engine.data.store.stored import columns_of
from kerascnn.engine.data.store.stream import PreparedImages
from kerascnn.runtime.cache import limit_bytes
from kerascnn.runtime.rows.filling import Columns
from kerascnn.runtime.rows.store import RowStore

_VERSION = 6  # raise when `prepare_rows` gives something else, or it is stored in another way


@dataclass(frozen=True)
class PackedStore:
    """The images of one preparation in the cache, or only their descriptions.

    Args:
        preparation: Of the images.
        streamed: Whether only their descriptions are stored.
        offered: The contents that `offer` has stored.
    """

    preparation: Preparation
    streamed: bool = False
    offered: set[bytes] = field(default_factory=set)

    @property
    def decides(self) -> str:
        """All that decides what an image becomes, besides its content."""
        how = self.preparation
        return f"{_VERSION} {how.packed_size} {how.resize} {how.value_range} {decoders()}"

    @cached_property
    def rows(self) -> RowStore:
        columns = columns_of(None if self.streamed else self.preparation.packed_size)
        key = sha256(f"{self.decides} {sorted(columns)}".encode())
        what = "descriptions of streamed images" if self.streamed else "images"
        return RowStore("packed", key, f"{what} at {self.preparation.packed_size} px", columns)

    def values(self, made: PreparedImages) -> Columns:
        """What is stored of images."""
        described: Columns = {"descriptions": made.descriptions}
        return described if self.streamed else {**described, "images": made.images}

    def offer(self, prepared: Sequence[PreparedImages]) -> int:
        """Stores images at hand, except those that others are preparing; returns how many."""
        contents = np.concatenate([made.contents for made in prepared])
        pieces = [self.values(made) for made in prepared]
        values = {name: np.concatenate([of[name] for of in pieces]) for name in pieces[0]}
        stored = contents[self.rows.offer(contents, values)]
        self.offered.update(content.tobytes() for content in stored)
        return len(stored)


def is_streamed(count: int, preparation: Preparation, stream_above: float | None) -> bool:
    """Whether that many images are more than may be stored."""
    limit = limit_bytes() if stream_above is None else stream_above
    return count * preparation.packed_size**2 * 3 > limit
