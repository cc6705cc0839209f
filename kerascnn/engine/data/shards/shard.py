"""A file of many images, and what a format says of the images in it."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kerascnn.runtime.shared_file import SharedFile

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Shard:
    """A file of many images.

    Args:
        name: For messages and reports, such as "train-0003.tar".
        state: Changes whenever the content does; what is in the shard is remembered under it.
        open: Opens the file to read it, after fetching it if it is elsewhere. `cloudpickle` must be
            able to send it to another process.
    """

    name: str
    state: str
    open: Callable[[], SharedFile] = field(compare=False, repr=False)


def local_shard(path: Path, name: str | None = None) -> Shard:
    """A file on this machine; its state is its size, its times and its place on the disk."""
    status = os.stat(path)
    state = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
    return Shard(name or path.name, f"{state} {status.st_ctime_ns}", partial(SharedFile, path))


class ImageIn(NamedTuple):
    """An image in a shard.

    Args:
        name: In the shard, such as "cats/17.jpg".
        label: A class name or number; labelled by "folder", the folder.
        offset, length, method: Where and how it is stored, as the format's `read` expects it.
        content: The bytes of the image file.
    """

    name: str
    label: str
    offset: int
    length: int
    method: int
    content: bytes


class Scan(NamedTuple):
    """The images of a shard.

    Args:
        labelled: How: "folder", or anything else; the same for all shards of a dataset.
        images: In the order in which they are stored.
        ignored: What else is in the shard, with counts; complete after the last image.
    """

    labelled: str
    images: Iterable[ImageIn]
    ignored: dict[str, int]


class ShardFormat(Protocol):
    """A kind of shard. `cloudpickle` must be able to send it to another process."""

    @property
    def decides(self) -> str:
        """All that decides what a scan gives, besides the shard."""

    def scan(self, shard: Shard, file: SharedFile) -> Scan:
        """Reads a shard once; raises InputError, which names it and says what to do."""

    def read(self, shard: Shard, file: SharedFile, places: "np.ndarray") -> Sequence[bytes]:
        """The image files at these places, of dtype `PLACE`; several threads may read at once."""
