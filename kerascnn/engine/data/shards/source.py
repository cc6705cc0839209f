"""The images of shards as a source, read where they are."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from kerascnn.engine.data.shards.index import ShardIndex
from kerascnn.engine.data.shards.shard import Shard, ShardFormat
from kerascnn.engine.data.sources.files import ContentHash
from kerascnn.engine.data.sources.source import Known
from kerascnn.runtime.shared_file import SharedFile

_OPEN = 32  # shards that a process keeps open


@lru_cache(_OPEN)
def _opened(shard: Shard) -> SharedFile:
    """A file that is closed when the last thread that reads it is done."""
    return shard.open()


@dataclass(frozen=True)
class ShardImages:
    """The images of some shards, one shard after the other, as encoded bytes.

    Args:
        shards: The files.
        how: Their format.
        indexes: The images to use of each.
        labels: The class index of each image.
    """

    shards: Sequence[Shard]
    how: ShardFormat
    indexes: Sequence[ShardIndex]
    labels: Sequence[int]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self.indexes)))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int, /) -> tuple[bytes, int]:
        return self.__getitems__([range(len(self))[index]])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[tuple[bytes, int]]:
        in_shard = defaultdict[int, list[int]](list)
        for row in dict.fromkeys(rows):
            in_shard[bisect_right(self._ends, row)].append(row)
        found = dict[int, bytes]()
        for number, here in in_shard.items():
            shard, first = self.shards[number], self._first(number)
            places = self.indexes[number].places[[row - first for row in here]]
            found |= zip(here, self.how.read(shard, _opened(shard), places), strict=True)
        return [(found[row], self.labels[row]) for row in rows]

    def image_name(self, row: int) -> str:
        number = bisect_right(self._ends, row)
        name = self.indexes[number].names[row - self._first(number)]
        return f"{self.shards[number].name}/{name}"

    def _first(self, number: int) -> int:
        return self._ends[number - 1] if number else 0

    @property
    def files(self) -> list[int]:
        return list(map(len, self.indexes))

    @cached_property
    def fingerprint(self) -> str:
        return self.known.fingerprint

    @property
    def known(self) -> Known:
        contents = b"".join(index.places["whole"].tobytes() for index in self.indexes)
        return Known(contents, self.labels, [False] * len(self))

    def hashes(self) -> Iterator[ContentHash]:
        """The hashes of each image, as they were when its shard was indexed."""
        for index in self.indexes:
            columns = (index.places[name].tobytes().hex() for name in ("whole", "image"))
            for whole, image in zip(*map(_cut, columns), strict=True):
                yield ContentHash(whole, image)


def _cut(digits: str) -> list[str]:
    """The SHA-256 of each image, of those of a shard in a row."""
    return [digits[first : first + 64] for first in range(0, len(digits), 64)]
