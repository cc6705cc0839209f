"""The training images most similar to an image, as thumbnails."""

import hashlib
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources.files import content_of, hash_content
from kerascnn.engine.data.store.packed_store import PackedStore
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.results.known.images import KnownImages, Nearest
from kerascnn.results.page import data_uri
from kerascnn.runtime.text import counted

SHOWN = 6
SIDE = 128  # pixels of a thumbnail
SEEN = "The run was trained or validated on this very image, so its label was known."
HELD = 1024  # thumbnails in memory


class Similar:
    """Finds them among the images that a run keeps the features of; see `KnownImages`.

    Attributes:
        none: Why none can be found; "" if some can.
    """

    def __init__(self, result: Result) -> None:
        self._known: KnownImages | None = None
        self._thumbnail = lru_cache(HELD)(_Thumbnails(result))
        self.none = ""
        try:
            self._known = KnownImages.read(result)
        except InputError as error:
            self.none = str(error)

    def note(self, image: bytes) -> str:
        """Says if the run has seen these very bytes; else ""."""
        digest = np.frombuffer(hashlib.sha256(image).digest(), np.uint8)
        if self._known is None:
            return ""
        here = (self._known.contents == digest).all(1)
        return SEEN if (here & (self._known.splits != "test")).any() else ""

    def __call__(self, features: np.ndarray) -> dict[str, Any]:
        """For the features of one image, float32 [1, F].

        Returns:
            `similar`: a list with the `label`, `name` and `image` of each, a data: URI or "" if it
            is gone. `missing`: what is gone, in a sentence, or "".
        """
        if self._known is None:
            return {"similar": [], "missing": self.none}
        [found] = self._known.nearest(features, SHOWN)
        similar = [
            {"label": one.label, "name": one.image, "image": self._thumbnail(one)} for one in found
        ]
        gone = [one["name"] for one in similar if not one["image"]]
        missing = ""
        if gone:
            missing = (
                f"{counted(len(gone))} cannot be shown: moved, changed or removed since the run, "
                f"such as {gone[0]}."
            )
        return {"similar": similar, "missing": missing}


class _Thumbnails:
    """Thumbnails out of the cache of prepared images, or of the files where they still are."""

    def __init__(self, result: Result) -> None:
        self._preparation = Preparation.of(result.training)

    def __call__(self, of: Nearest) -> str:
        """A data: URI; "" if the image is gone."""
        pixels = self._packed(of)
        if pixels is None:
            pixels = self._from_file(of)
        return "" if pixels is None else data_uri(self._preparation.windows(pixels)[:], SIDE)

    @cached_property
    def _store(self) -> PackedStore:
        return PackedStore(self._preparation)

    def _packed(self, of: Nearest) -> np.ndarray | None:
        """The image as packed, uint8 [P, P, 3]."""
        with suppress(InputError):  # without a cache there is none
            content = np.frombuffer(bytes.fromhex(of.sha256), np.uint8)
            [place] = self._store.rows.find(content[None])
            return None if place < 0 else self._store.rows.read("images", np.array([place]))[0]
        return None

    def _from_file(self, of: Nearest) -> np.ndarray | None:
        content = content_of(Path(of.image))
        if hash_content(content).whole != of.sha256:
            return None
        with suppress(InputError):
            return self._preparation.prepare(content)
        return None
