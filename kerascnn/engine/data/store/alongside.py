"""Packs images that are decoded for another purpose, so that each is decoded once."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.packed_store import PackedStore, is_streamed
from kerascnn.engine.data.store.stream import PreparedImages

_HELD_BYTES = 2**24  # of prepared images, at most, until they are stored


@dataclass(frozen=True)
class _Asked:
    store: PackedStore
    stream_above: float | None


_asked: ContextVar[tuple[_Asked, ...]] = ContextVar("asked", default=())


@contextmanager
def packed_alongside(
    *preparations: Preparation, stream_above: float | None = None
) -> Iterator[None]:
    """In its block, an image that is decoded for anything is packed in these preparations too.

    So a folder that is searched for near copies, and then packed at 160 and at 224 px, is decoded
    once.

    Args:
        preparations: Those in which the images will be packed.
        stream_above: See `pack`; images that would not be stored are not packed alongside either.
    """
    new = (_Asked(PackedStore(how), stream_above) for how in dict.fromkeys(preparations))
    token = _asked.set((*_asked.get(), *new))
    try:
        yield
    finally:
        _asked.reset(token)


def count_offered(preparation: Preparation, contents: np.ndarray) -> int:
    """How many of these contents, uint8 [N, 32], were packed alongside in this preparation.

    Each is counted once.
    """
    counted = 0
    for store in (asked.store for asked in _asked.get()):
        if store.preparation == preparation and store.offered:
            found = store.offered.intersection(content.tobytes() for content in contents)
            store.offered.difference_update(found)
            counted += len(found)
    return counted


class Alongside:
    """The images of a source on their way into the stores that `packed_alongside` asks for.

    Args:
        count: The number of images in the source.
        but: A preparation in which they are packed anyway.

    Attributes:
        preparations: Those asked for; `add` expects them in `PreparedImages.also`, in this order.
    """

    def __init__(self, count: int, but: Preparation | None = None) -> None:
        asked = {one.store.preparation: one for one in _asked.get()}
        self._stores = [
            one.store
            for how, one in asked.items()
            if how != but and not is_streamed(count, how, one.stream_above)
        ]
        self.preparations = tuple(store.preparation for store in self._stores)
        self._held: list[PreparedImages] = []
        self._bytes = 0

    def add(self, made: PreparedImages) -> None:
        """Takes images, and stores those that it holds once they are many."""
        if not self._stores:
            return
        self._held.append(made)
        self._bytes += sum(also.images.nbytes for also in made.also)
        if self._bytes >= _HELD_BYTES:
            self.store()

    def store(self) -> None:
        """Stores the images that it holds."""
        held, self._held, self._bytes = self._held, [], 0
        for number, store in enumerate(self._stores if held else ()):
            store.offer([made.also[number] for made in held])
