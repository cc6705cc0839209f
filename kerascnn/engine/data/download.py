"""Files from the network: fetched once, whole, and verified before every use."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath
from ssl import SSLError
from typing import IO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock

from kerascnn.errors import InputError
from kerascnn.runtime.cache import cache_folder
from kerascnn.runtime.files import gigabytes, whole_folder, write_whole

Progress = Callable[[str, int, int | None], None]

progress: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""Called with (file name, bytes so far, bytes in all or None)."""

TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 1 << 18
MAX_UNPACKED_BYTES = 20 << 30
MAX_UNPACKED_FILES = 1_000_000


@contextmanager
def reporting(to: Progress) -> Iterator[None]:
    """Reports what is downloaded meanwhile, whoever asks for it."""
    token = progress.set(to)
    try:
        yield
    finally:
        progress.reset(token)


class NotAtHandError(InputError):
    """A file would have to be downloaded, and is not to be.

    Args:
        about_bytes: Its size, roughly; None where it is not known.
    """

    def __init__(self, message: str, about_bytes: int | None = None) -> None:
        super().__init__(message)
        self.about_bytes = about_bytes


_downloads: ContextVar[bool] = ContextVar("downloads", default=True)


@contextmanager
def without_downloads() -> Iterator[None]:
    """Meanwhile `fetch` raises NotAtHandError for what is not there yet."""
    token = _downloads.set(False)
    try:
        yield
    finally:
        _downloads.reset(token)


class Pin(NamedTuple):
    """The hash that a file must have."""

    algorithm: str
    digest: str

    def matches(self, path: Path) -> bool:
        return _hash(path, self.algorithm) == self.digest.lower()

    def __str__(self) -> str:
        return f"{self.algorithm.upper()} {self.digest}"


def fetch(
    url: str,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    name: str | None = None,
    unpack: bool = False,
    about_bytes: int | None = None,
) -> Path:
    """Returns the path of a file of the network, which is downloaded if it is not there yet.

    The hash is verified before every use. Without a published one, the SHA-256 of the first
    download is kept beside the file (`NAME.sha256`) and verified from then on. A download that
    broke off goes on where it stopped, if there is a hash to prove the result.

    Args:
        url: An http or https address.
        sha256: The file's SHA-256, hexadecimal.
        md5: Its MD5, for files whose publisher gives nothing better.
        folder: Where the file is or goes; by default "downloads" in the user's cache folder.
        name: The file's name; by default the last part of the URL's path.
        unpack: Unpack the tar archive into the folder `NAME.unpacked` beside it, and return that
            folder; once it is there, the archive is not needed.
        about_bytes: Its size, roughly, for those who decide whether to download it.

    Returns:
        The path of the verified file, or of the unpacked folder.

    Raises:
        InputError: The file is neither there nor to be had, or its hash is wrong.
    """
    name = _file_name(url, name)
    try:
        target = _folder(folder) / name
        unpacked = target.with_name(f"{name}.unpacked")
        if unpack and unpacked.is_dir():
            return unpacked
        archive = _fetch(url, target, _published(sha256, md5), about_bytes)
    except OSError as error:
        raise InputError(
            f'cannot store "{name}" from {url}: {error}. Make room, allow writing there, or name '
            "another folder."
        ) from error
    return extract(archive, unpacked) if unpack else archive


def extract(archive: Path, folder: Path) -> Path:
    """Unpacks a tar archive, once, no entry of which may reach outside of the folder.

    Args:
        archive: A tar file, compressed or not.
        folder: The folder to make. If it exists it is whole, and nothing is done.

    Returns:
        The folder.

    Raises:
        InputError: The archive is damaged or too large, or has links, devices or paths that lead
            out of the folder.
    """
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        try:
            with whole_folder(folder, durable=False) as new, tarfile.open(archive) as tar:
                tar.extractall(new, members=_safe_members(tar), filter="data")
        except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
            raise InputError(
                f'cannot unpack "{archive}": {error}. Nothing of it was kept; replace the archive.'
            ) from error
    return folder


def _safe_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total_bytes = 0
    for count, member in enumerate(tar, start=1):
        if not (member.isfile() or member.isdir()):
            raise ValueError(f'"{member.name}" is a link or a device')
        # the filter "data" would take a leading slash away and go on
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


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    if folder is not None:
        return Path(folder).expanduser().absolute()
    return cache_folder("downloads")


def _file_name(url: str, name: str | None) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise InputError(f'cannot fetch "{url}": expected an http or https address.')
    name = name or unquote(PurePosixPath(parts.path).name)
    if name in ("", ".", "..") or PureWindowsPath(name).name != name:
        raise InputError(f'cannot fetch "{url}": "{name}" is no file name; give one as `name`.')
    return name


def _published(sha256: str | None, md5: str | None) -> Pin | None:
    if sha256:
        return Pin("sha256", sha256)
    return Pin("md5", md5) if md5 else None


def _fetch(url: str, target: Path, published: Pin | None, about_bytes: int | None) -> Path:
    if _is_there(target, published):  # needs no lock: a target is only ever renamed into place
        return target
    if not _downloads.get():
        size = f" (about {gigabytes(about_bytes)})" if about_bytes else ""
        raise NotAtHandError(f'"{target.name}"{size} would be downloaded from {url}.', about_bytes)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if _is_there(target, published):  # another process was first
            return target
        pin = published or _first_seen(target)
        if pin or not target.exists():
            _download(url, target, pin)
        if not published:
            _remember(target)
    return target


def _is_there(target: Path, published: Pin | None) -> bool:
    pin = published or _first_seen(target)
    return pin is not None and target.is_file() and pin.matches(target)


def _first_seen(target: Path) -> Pin | None:
    record = target.with_name(f"{target.name}.sha256")
    return Pin("sha256", record.read_text().strip()) if record.is_file() else None


def _remember(target: Path) -> None:
    write_whole(target.with_name(f"{target.name}.sha256"), _hash(target, "sha256") + "\n")


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _download(url: str, target: Path, pin: Pin | None) -> None:
    partial = target.with_name(f"{target.name}.part")
    if pin is None:
        partial.unlink(missing_ok=True)  # nothing would notice two versions in one file
    try:
        _transfer(url, partial, target.name)
    except (HTTPException, URLError, ConnectionError, TimeoutError, SSLError) as error:
        raise InputError(_how_to_go_on(url, target, pin, f"{error}")) from error
    if pin and not pin.matches(partial):
        reason = f"what came has the {pin.algorithm.upper()} {_hash(partial, pin.algorithm)}"
        partial.unlink()
        raise InputError(_how_to_go_on(url, target, pin, f"{reason} and was deleted"))
    partial.replace(target)


def _transfer(url: str, partial: Path, name: str) -> None:
    """Adds to `partial` what it lacks; after whatever stops it, the next call goes on."""
    response = _open(url, partial.stat().st_size if partial.exists() else 0)
    with response, partial.open("ab" if response.status == 206 else "wb") as file:
        start = file.tell()
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        done = _copy(response, file, name, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:  # http.client does not notice it
        raise ConnectionError(f"the connection closed after {done:,} of {total:,} bytes")


def _open(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": "kerascnn"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if start and error.code == 416:  # range not satisfiable: this is no part of the file
            return _open(url, 0)
        raise


def _copy(response: HTTPResponse, file: IO[bytes], name: str, total: int | None) -> int:
    report = progress.get()
    while chunk := response.read(CHUNK_BYTES):
        file.write(chunk)
        if report:
            report(name, file.tell(), total)
    return file.tell()


def _how_to_go_on(url: str, target: Path, pin: Pin | None, reason: str) -> str:
    message = f"cannot download {url}: {reason}."
    if target.exists():
        message += " The file that is there is not used, as its hash is wrong."
    message += f' Try again, or put the file at "{target}" by hand'
    if pin is None:
        return f"{message}."
    record = target.with_name(f"{target.name}.sha256")
    renewal = f'; if it was rightly renewed, delete "{record}"' if record.exists() else ""
    return f"{message}: it has the {pin}{renewal}."
