"""Tar shards in the layout of WebDataset, or of class folders."""

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from kerascnn.engine.data.shards.samples import Member, Samples
from kerascnn.engine.data.shards.shard import Scan, Shard
from kerascnn.errors import InputError
from kerascnn.runtime.shared_file import SharedFile

_BLOCK = 512  # bytes; POSIX.1-1988, ustar
_BUFFER = 2**20
_COMPRESSED = {  # by the first bytes
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\x00": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "unzstd"),
}


@dataclass(frozen=True)
class TarFormat:
    """Tar files of images; see `Samples` for the arguments."""

    label: str = "auto"
    image: str = ""

    @property
    def decides(self) -> str:
        return f"tar {self.label} {self.image}"

    def scan(self, shard: Shard, file: SharedFile) -> Scan:
        samples = Samples(shard.name, self.label, self.image)
        return samples.scan(_members(shard.name, file, samples))

    def read(self, shard: Shard, file: SharedFile, places: np.ndarray) -> Sequence[bytes]:
        both = zip(places["offset"].tolist(), places["length"].tolist(), strict=True)
        return [file.bytes_at(offset, length) for offset, length in both]


def _members(name: str, file: SharedFile, samples: Samples) -> Iterator[Member]:
    """The files in a tar, which must be whole."""
    _refuse_compressed(name, file)
    buffered: Any = io.BufferedReader(file, _BUFFER)
    try:
        with tarfile.open(fileobj=buffered, mode="r:") as tar:
            for member in iter(tar.next, None):
                if member.isfile():
                    content = b""
                    if samples.wants(member.name):
                        buffered.seek(member.offset_data)
                        content = buffered.read(member.size)
                        if len(content) < member.size:
                            raise tarfile.ReadError(f'it ends within "{member.name}"')
                    yield Member(member.name, member.offset_data, member.size, 0, content)
                elif not member.isdir():
                    samples.ignored["links and devices"] += 1
                tar.members = []  # type: ignore[attr-defined]  # else it keeps all
            _check_end(tar, buffered)
    except tarfile.TarError as error:
        raise InputError(
            f'cannot read "{name}": {error}. It was cut off, damaged or never finished: download '
            "or write it again."
        ) from error


def _check_end(tar: tarfile.TarFile, file: BinaryIO) -> None:
    """Python takes a damaged header for the end."""
    file.seek(tar.offset)
    block = file.read(_BLOCK)
    if len(block) < _BLOCK:
        raise tarfile.ReadError("it ends without the mark of a whole tar")
    if any(block):
        raise tarfile.ReadError(f"the header at byte {tar.offset:,} is damaged")


def _refuse_compressed(name: str, file: SharedFile) -> None:
    start = file.bytes_at(0, 8)
    for sign, (kind, unpack) in _COMPRESSED.items():
        if start.startswith(sign):
            plain = PurePosixPath(name).with_suffix("").name
            raise InputError(
                f'"{name}" is compressed with {kind}, so that single images in it cannot be read. '
                f"Decompress it once with `{unpack}`, and name the result, such as "
                f'"{plain}", in dataset.path.'
            )
    if not start:
        raise InputError(f'"{name}" is empty: download or write it again.')
