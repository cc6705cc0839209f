"""Zip archives of images in class folders, read without unpacking them."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.shards.labels import FOLDER
from kerascnn.engine.data.shards.samples import Member, Samples
from kerascnn.engine.data.shards.shard import Scan, Shard
from kerascnn.errors import InputError
from kerascnn.runtime.shared_file import SharedFile

_LOCAL_HEADER = 30  # bytes before the name; APPNOTE.TXT 4.3.7
_ENCRYPTED = 1  # bit of the flags


@dataclass(frozen=True)
class ZipFormat:
    """Zip archives of images, stored or deflated, each labelled by its folder."""

    @property
    def decides(self) -> str:
        return "zip"

    def scan(self, shard: Shard, file: SharedFile) -> Scan:
        samples = Samples(shard.name, FOLDER)
        return samples.scan(_members(shard.name, file, samples))

    def read(self, shard: Shard, file: SharedFile, places: np.ndarray) -> Sequence[bytes]:
        columns = (places[name].tolist() for name in ("offset", "length", "method"))
        return [_content(file, *place) for place in zip(*columns, strict=True)]


def _members(name: str, file: SharedFile, samples: Samples) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                content, offset = b"", 0
                if samples.wants(info.filename):
                    _refuse_unreadable(name, info)
                    offset = _offset(file, info)
                    content = _content(file, offset, info.compress_size, info.compress_type)
                    if zlib.crc32(content) != info.CRC:
                        raise zipfile.BadZipFile(f'"{info.filename}" is damaged')
                yield Member(info.filename, offset, info.compress_size, info.compress_type, content)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise InputError(
            f'cannot read "{name}": {str(error)[:1].lower()}{str(error)[1:]}. It was cut off, '
            "damaged or is not a zip archive: download or write it again."
        ) from error


def _refuse_unreadable(name: str, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise InputError(
            f'"{info.filename}" in "{name}" is encrypted: unpack the archive with its password, '
            "and use the folder (image_folder)."
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(
            f'"{info.filename}" in "{name}" is compressed by method {info.compress_type}; only '
            "stored and deflated files are read. Pack the images again, best without compression "
            "(`zip -0`), or unpack them and use the folder (image_folder)."
        )


def _offset(file: SharedFile, info: zipfile.ZipInfo) -> int:
    """Where the data of a file begins: its own header may be longer than the directory says."""
    header = file.bytes_at(info.header_offset, _LOCAL_HEADER)
    if header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f'the header of "{info.filename}" is damaged')
    lengths = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))  # name, extra
    return info.header_offset + _LOCAL_HEADER + sum(lengths)


def _content(file: SharedFile, offset: int, length: int, method: int) -> bytes:
    stored = file.bytes_at(offset, length)
    return stored if method == zipfile.ZIP_STORED else zlib.decompress(stored, -zlib.MAX_WBITS)
