"""Some images of a source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kerascnn.hookspecs import Source


@dataclass(frozen=True)
class Subset:
    """Some images of a source, in the order of `rows`.

    Args:
        source: Gives the images.
        rows: Their indices in it.
        fingerprint: As a source's own; default none, then kerascnn hashes the images.
    """

    source: Source
    rows: Sequence[int]
    fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        return self.source[int(self.rows[index])]
