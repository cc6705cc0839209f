"""Tar archives, unpacked safely."""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from filelock import FileLock

from kerascnn.errors import InputError
from kerascnn.runtime.files import whole_folder

MAX_UNPACKED_BYTES = 20 << 30
MAX_UNPACKED_FILES = 1_000_000


def extract(archive: Path, folder: Path) -> Path:
    """Unpacks a tar archive once: if the folder exists, it is complete.

    Raises:
        InputError: The archive is damaged or too large, or contains links, devices or paths that
            lead out of the folder.
    """
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        try:
            with whole_folder(folder, durable=False) as new, tarfile.open(archive) as tar:
                tar.extractall(new, members=_safe_members(tar), filter="data")
        except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
            raise InputError(
                f'cannot unpack "{archive}": {error}. Nothing was kept; replace the archive.'
            ) from error
    return folder


def _safe_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total_bytes = 0
    for count, member in enumerate(tar, start=1):
        if not (member.isfile() or member.isdir()):
            raise ValueError(f'"{member.name}" is a link or a device')
        # the filter "data" would strip a leading slash and accept the path
        for path in (PurePosixPath(member.name), PureWindowsPath(member.name)):
            if path.anchor or ".." in path.parts:
                raise ValueError(f'"{member.name}" leads out of the folder')
        total_bytes += member.size
        if total_bytes > MAX_UNPACKED_BYTES or count > MAX_UNPACKED_FILES:
            raise ValueError(
                f"it unpacks to more than {MAX_UNPACKED_BYTES:,} bytes or "
                f"{MAX_UNPACKED_FILES:,} files"
            )
        yield member
