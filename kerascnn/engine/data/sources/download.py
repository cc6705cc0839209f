"""Files from the network: fetched once, whole, and verified before every use."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath
from ssl import SSLError
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock

from kerascnn.engine.data.sources.archives import extract
from kerascnn.errors import InputError
from kerascnn.runtime.cache import cache_folder
from kerascnn.runtime.files import gigabytes, write_whole

OnDownload = Callable[[str, int, int | None], None]
"""Called with the file name, the bytes so far and, if known, the bytes in all."""

_on_download: ContextVar[OnDownload | None] = ContextVar("on_download", default=None)
_downloads: ContextVar[bool] = ContextVar("downloads", default=True)

TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 1 << 18


@contextmanager
def _within(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def reporting(to: OnDownload) -> AbstractContextManager[None]:
    """Reports every download in this context, including those of plugins."""
    return _within(_on_download, to)


def without_downloads() -> AbstractContextManager[None]:
    """In this context `fetch` raises NotAtHandError for files that are not downloaded yet."""
    return _within(_downloads, False)


def require_downloads(name: str, url: str, about_bytes: int | None = None) -> None:
    """Raises NotAtHandError within `without_downloads`."""
    if not _downloads.get():
        size = f" (about {gigabytes(about_bytes)})" if about_bytes else ""
        raise NotAtHandError(f'"{name}"{size} would be downloaded from {url}.', about_bytes)


def reported(name: str, total: int | None) -> Callable[[int], None]:
    """What is called with the number of bytes of a download that are there."""
    report = _on_download.get()
    return (lambda done: report(name, done, total)) if report else (lambda done: None)


class NotAtHandError(InputError):
    """A file is missing, and downloads are turned off; `about_bytes` is its size, if known."""

    def __init__(self, message: str, about_bytes: int | None = None) -> None:
        super().__init__(message)
        self.about_bytes = about_bytes


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
    """Returns the path of a file from the network, downloading it if it is not there yet.

    The hash is verified before every use. If the publisher gives none, the SHA-256 of the first
    download is kept next to the file (`NAME.sha256`) and verified from then on. An interrupted
    download resumes where it stopped, if a hash can verify the result.

    Args:
        url: An http or https address.
        sha256: The file's SHA-256, hexadecimal.
        md5: The file's MD5, if its publisher gives no SHA-256.
        folder: The folder of the file; default "downloads" in the user's cache folder.
        name: The file's name; default the last part of the URL's path.
        unpack: Unpack the tar archive into the folder `NAME.unpacked` next to it, and return that
            folder; the archive is not needed from then on.
        about_bytes: The approximate size of the file, shown before it is downloaded.

    Returns:
        The path of the verified file, or of the unpacked folder.

    Raises:
        InputError: The file cannot be downloaded or stored, or its hash is wrong.
    """
    name = _file_name(url, name)
    try:
        target = _place(folder) / name
        unpacked = target.with_name(f"{name}.unpacked")
        if unpack and unpacked.is_dir():
            return unpacked
        archive = _fetch(url, target, _published(sha256, md5), about_bytes)
    except OSError as error:
        raise InputError(
            f'cannot store "{name}" from {url}: {error}. Free disk space, allow writing there, or '
            "use another folder."
        ) from error
    return extract(archive, unpacked) if unpack else archive


def is_fetched(
    url: str,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> bool:
    """Whether `fetch` would return this file without a download; arguments as there."""
    return _is_there(_place(folder) / _file_name(url, name), _published(sha256, md5))


def _place(folder: str | os.PathLike[str] | None) -> Path:
    return cache_folder("downloads") if folder is None else Path(folder).expanduser().absolute()


def _published(sha256: str | None, md5: str | None) -> Pin | None:
    return Pin("sha256", sha256) if sha256 else Pin("md5", md5) if md5 else None


def _file_name(url: str, name: str | None) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise InputError(f'cannot fetch "{url}": expected an http or https address.')
    name = name or unquote(PurePosixPath(parts.path).name)
    if name in ("", ".", "..") or PureWindowsPath(name).name != name:
        raise InputError(f'cannot fetch "{url}": "{name}" is not a file name; pass one as `name`.')
    return name


def _fetch(url: str, target: Path, published: Pin | None, about_bytes: int | None) -> Path:
    # without the lock, as a target is only ever renamed into place
    if _is_there(target, published):
        return target
    require_downloads(target.name, url, about_bytes)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if _is_there(target, published):  # another process was first
            return target
        pin = published or _first_seen(target)
        if pin or not target.exists():
            _download(url, target, pin)
        if not published:
            write_whole(_record(target), _hash(target, "sha256") + "\n")
    return target


def _is_there(target: Path, published: Pin | None) -> bool:
    pin = published or _first_seen(target)
    return pin is not None and target.is_file() and pin.matches(target)


def _first_seen(target: Path) -> Pin | None:
    record = _record(target)
    return Pin("sha256", record.read_text().strip()) if record.is_file() else None


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _download(url: str, target: Path, pin: Pin | None) -> None:
    partial = target.with_name(f"{target.name}.part")
    if pin is None:
        partial.unlink(missing_ok=True)  # without a hash, a mix of two versions would go unnoticed
    try:
        _transfer(url, partial, target.name)
    except (HTTPException, URLError, ConnectionError, TimeoutError, SSLError) as error:
        raise InputError(_failure(url, target, pin, f"{error}")) from error
    if pin and not pin.matches(partial):
        reason = f"the download has the {pin.algorithm.upper()} {_hash(partial, pin.algorithm)}"
        partial.unlink()
        raise InputError(_failure(url, target, pin, f"{reason} and was deleted"))
    partial.replace(target)


def _transfer(url: str, partial: Path, name: str) -> None:
    """Downloads what `partial` lacks; if interrupted, the next call resumes."""
    response = _open(url, partial.stat().st_size if partial.exists() else 0)
    with response, partial.open("ab" if response.status == 206 else "wb") as file:
        start = file.tell()
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        done = _copy(response, file, name, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:  # http.client does not check it
        raise ConnectionError(f"the connection closed after {done:,} of {total:,} bytes")


def _open(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": "kerascnn"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if start and error.code == 416:  # range not satisfiable: not a part of this file
            return _open(url, 0)
        raise


def _copy(response: HTTPResponse, file: IO[bytes], name: str, total: int | None) -> int:
    report = _on_download.get()
    while chunk := response.read(CHUNK_BYTES):
        file.write(chunk)
        if report:
            report(name, file.tell(), total)
    return file.tell()


def _failure(url: str, target: Path, pin: Pin | None, reason: str) -> str:
    message = f"cannot download {url}: {reason}."
    if target.exists():
        message += " The existing file is not used, as its hash is wrong."
    message += f' Try again, or place the file at "{target}"'
    if pin is None:
        return f"{message}."
    record = _record(target)
    renewal = f' If its publisher replaced it, delete "{record}".' if record.exists() else ""
    return f"{message} (expected {pin}).{renewal}"
