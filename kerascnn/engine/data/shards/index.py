"""What is in a shard: where each image is, its label and its hashes; found once, and remembered."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.shards.shard import Shard, ShardFormat
from kerascnn.engine.data.sources.download import NotAtHandError
from kerascnn.engine.data.sources.files import hash_content
from kerascnn.errors import InputError
from kerascnn.runtime.cache import cached
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.text import itemized

PLACE = np.dtype(
    [
        ("offset", np.int64),
        ("length", np.int64),
        ("method", np.int64),
        ("whole", np.uint8, (32,)),  # SHA-256 of the image file
        ("image", np.uint8, (32,)),  # the same without EXIF data and comments
    ]
)
"""Where an image is in its shard, and what it is."""

_VERSION = 1  # raise when a scan, `hash_content` or `PLACE` changes
_NAMED = 20  # faulty shards that are named; the others are counted


@dataclass(frozen=True)
class ShardIndex:
    """The images of a shard.

    Args:
        places: Of dtype `PLACE` [N].
        names, labels: Of each image; see `ImageIn`.
        labelled, ignored: See `Scan`.
    """

    places: np.ndarray
    names: "Names"
    labels: Sequence[str]
    labelled: str
    ignored: dict[str, int]

    def __len__(self) -> int:
        return len(self.names)


def index_shards(shards: Sequence[Shard], how: ShardFormat) -> list[ShardIndex]:
    """The images of each shard; a shard is read only if it was not in this state before.

    Raises:
        InputError: Shards that cannot be read, all of them named.
    """

    def index(shard: Shard) -> ShardIndex | InputError:
        try:
            return _index(shard, how)
        except NotAtHandError:
            raise
        except InputError as error:
            return error

    with ThreadPoolExecutor(available_cores(), thread_name_prefix="kerascnn-shards") as pool:
        # each in a copy of this context, which says whether downloads are allowed
        asked = [pool.submit(copy_context().run, index, shard) for shard in shards]
        found = [future.result() for future in asked]
    if faults := [str(fault) for fault in found if isinstance(fault, InputError)]:
        many = itemized("{} cannot be used", faults, len(faults), _NAMED, noun="shard")
        raise InputError(faults[0] if len(faults) == 1 else many)
    return [one for one in found if isinstance(one, ShardIndex)]


def _index(shard: Shard, how: ShardFormat) -> ShardIndex:
    decides = f"{_VERSION} {how.decides} {shard.name} {shard.state}"
    key = hashlib.sha256(decides.encode(errors="surrogateescape")).hexdigest()
    return cached(
        "shards", key, f"images in {shard.name}", partial(_scan, shard, how), _read, durable=False
    )


def _scan(shard: Shard, how: ShardFormat, folder: Path) -> None:
    names, labels, places = list[str](), list[str](), list[tuple]()
    with shard.open() as file:
        scan = how.scan(shard, file)
        for image in scan.images:
            hashes = hash_content(image.content)
            both = (np.frombuffer(bytes.fromhex(one), np.uint8) for one in hashes)
            places.append((image.offset, image.length, image.method, *both))
            names.append(image.name)
            labels.append(image.label)
    texts = {
        "names": names,
        "labels": labels,
        "labelled": scan.labelled,
        "ignored": scan.ignored,
    }
    np.save(folder / "places.npy", np.array(places, PLACE))
    (folder / "texts.json").write_text(json.dumps(texts), "utf-8")


def _read(folder: Path) -> ShardIndex:
    texts = json.loads((folder / "texts.json").read_text("utf-8"))
    once = {label: label for label in texts["labels"]}  # JSON gives each image one of its own
    texts |= {"names": Names(texts["names"]), "labels": [once[label] for label in texts["labels"]]}
    return ShardIndex(np.load(folder / "places.npy"), **texts)


class Names(Sequence[str]):
    """Strings in one block of bytes: 4 more bytes each, where Python takes 57."""

    def __init__(self, names: Sequence[str]) -> None:
        encoded = [name.encode("utf-8", "surrogatepass") for name in names]
        self._text = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)]).astype(np.uint32)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, row: Any, /) -> Any:
        first, end = self._ends[range(len(self))[row] :][:2]
        return self._text[first:end].decode("utf-8", "surrogatepass")
