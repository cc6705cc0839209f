"""The user's cache folder: what can be made again, found by the hash of all that decides it.

It is private to the user; the environment variable KERASCNN_CACHE names another one. It holds a
folder for each kind and in that one for each key, which is made whole or not at all. What was used
least recently leaves when the limit is passed: KERASCNN_CACHE_LIMIT_GB, by default half of what
the disk would have free without it. Downloads neither count nor leave by themselves.
"""

import errno
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from kerascnn.errors import InputError
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import GB, folder_bytes, whole_folder
from kerascnn.runtime.image_files import mark

T = TypeVar("T")

MADE = ("packed", "activations", "hashes", "databases", "sources")  # can be made again
KINDS = (*MADE, "downloads")

_ABOUT = "about.txt"
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_FETCHED = re.compile(r"(\.unpacked(\..+)?|\.sha256(\.new)?)?(\.part)?$")  # what `fetch` appends


@dataclass(frozen=True)
class Entry:
    """What one key names.

    Args:
        kind: "packed", "activations", "hashes" (of images, to find near copies), "databases"
            (MLflow's, with empty tables), "sources" (on their way to other processes) or
            "downloads".
        key: The hash of all that decides the content; of a download, its file name.
        bytes: On the disk.
        last_used: Seconds since 1970; of a download, when it came.
        about: What it is, for people.
        whole: False while it is being made, and of what was left when that was killed.
    """

    kind: str
    key: str
    bytes: int
    last_used: float
    about: str
    whole: bool


def cache_folder(*parts: str) -> Path:
    """A folder in the cache, made if it is not there."""
    root = Path(os.environ.get("KERASCNN_CACHE") or user_cache_path("kerascnn"))
    try:
        for folder in (root, root.joinpath(*parts)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_shared(root)
        mark(root)  # it may lie in a dataset's folder, and holds datasets itself
    except OSError as error:
        raise _unusable(root, error) from error
    return folder


def _refuse_shared(root: Path) -> None:
    """What lies in the cache is believed, so nobody else may put it there."""
    if os.name == "nt":  # where the home folder is private and modes say nothing
        return
    status = root.stat()
    if status.st_mode & 0o002 or (os.geteuid() and status.st_uid not in (0, os.geteuid())):
        raise InputError(
            f'the cache folder "{root}" is shared: others may write to it. Name a folder of your '
            "own in KERASCNN_CACHE."
        )


def cached(
    kind: str, key: str, about: str, build: Callable[[Path], None], read: Callable[[Path], T]
) -> T:
    """What `read` makes of an entry, which `build` fills first where it is not there.

    One process builds, others wait for it. Of a build that ends early, killed or by an exception,
    nothing is ever believed. What `read` opened stays valid when the entry leaves later: POSIX
    keeps a removed file until it is closed, and on Windows an entry with open files stays.

    Args:
        kind: "packed", "activations", "hashes" or "databases".
        key: The hash of all that decides the content, hexadecimal.
        about: One line for people.
        build: Fills the empty folder that it is given.
        read: Is given the folder of the entry, which nobody removes meanwhile.

    Raises:
        InputError: The cache folder is full or cannot be written to.
    """
    folder = cache_folder(kind)
    entry = folder / key
    with _writing(folder.parent), FileLock(folder / f"{key}.lock"):
        if not entry.is_dir():
            limit = limit_bytes()  # refuses a wrong one before the work
            _make(entry, about, build)
            _evict(limit, but=key)
        os.utime(entry)
        return read(entry)


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """An empty folder in the cache that is removed at the end, and by nobody before."""
    folder, key = cache_folder(kind), os.urandom(16).hex()
    lock = FileLock(folder / f"{key}.lock", thread_local=False)
    made = folder / f"{key}.scratch"
    with _writing(folder.parent), lock:
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)


def limit_bytes() -> int:
    """Bytes that packed images and activations may take together."""
    asked = os.environ.get("KERASCNN_CACHE_LIMIT_GB")
    if not asked:
        return (shutil.disk_usage(cache_folder()).free + sum(e.bytes for e in entries(MADE))) // 2
    try:
        limit = float(asked) * GB
    except ValueError:
        limit = 0
    if not 0 < limit < float("inf"):
        raise InputError(
            f"KERASCNN_CACHE_LIMIT_GB={asked}: expected a number above 0, the gigabytes that the "
            "cache may take, such as 50; unset it for half of the free disk."
        )
    return int(limit)


def entries(kinds: Iterable[str] = KINDS) -> list[Entry]:
    """What the cache holds, the last used first."""
    found = [_entry(kind, key, paths) for kind in kinds for key, paths in _by_key(kind).items()]
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def clear(kind: str | None = None) -> list[Entry]:
    """Removes one kind, or all, but nothing that is in the making; returns what was removed."""
    return [entry for entry in entries([kind] if kind else KINDS) if _remove(entry)]


def _make(entry: Path, about: str, build: Callable[[Path], None]) -> None:
    for leftover in _by_key(entry.parent.name).get(entry.name, ()):
        shutil.rmtree(leftover, ignore_errors=True)
    with whole_folder(entry) as new:
        build(new)
        (new / _ABOUT).write_text(about, "utf-8")


def _evict(limit: int, but: str) -> None:
    """Removes what was left unfinished, then the least recently used, down to the limit."""
    held = entries(MADE)
    total = sum(entry.bytes for entry in held)
    for entry in sorted(held, key=lambda entry: (entry.whole, entry.last_used)):
        if entry.whole and total <= limit:
            return
        if entry.key != but and _remove(entry):
            total -= entry.bytes


def _remove(entry: Entry) -> bool:
    """Removes an entry, unless somebody makes or opens it; on Windows, or has a file of it open."""
    folder = cache_folder(entry.kind)
    locks = [f"{entry.key}.lock", f"{entry.key}.unpacked.lock"]  # of downloads there are two
    with ExitStack() as held:
        try:
            for lock in locks if entry.kind == "downloads" else locks[:1]:
                held.enter_context(FileLock(folder / lock, timeout=0))
            for path in _by_key(entry.kind).get(entry.key, ()):
                # renamed first, for what is half removed must not be believed
                doomed = path.rename(folder / f"{path.name}.{os.urandom(4).hex()}.part")
                shutil.rmtree(doomed) if doomed.is_dir() else doomed.unlink()
        except (OSError, Timeout):
            return False
    return True


def _by_key(kind: str) -> dict[str, list[Path]]:
    """The files and folders of a kind, by the key that they belong to; none of the locks."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in cache_folder(kind).iterdir():
        if path.suffix != ".lock":
            name = path.name
            found[name.split(".")[0] if kind in MADE else _FETCHED.sub("", name)].append(path)
    return found


def _entry(kind: str, key: str, paths: list[Path]) -> Entry:
    whole = any(path.name in (key, f"{key}.unpacked") for path in paths)
    about = "" if whole else "unfinished"
    if kind in MADE and whole:
        with suppress(OSError):  # it leaves just now, or an earlier version made it
            about = (cache_folder(kind) / key / _ABOUT).read_text("utf-8")
    return Entry(
        kind,
        key,
        bytes=sum(map(folder_bytes, paths)),
        last_used=max(map(_changed, paths)),
        about=about,
        whole=whole,
    )


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0  # it has just been removed


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Says what to do where the disk is full or the folder cannot be written to."""
    try:
        yield
    except OSError as error:
        denied = isinstance(error, PermissionError) and str(error.filename).startswith(str(root))
        if denied or error.errno in _UNWRITABLE:
            raise _unusable(root, error) from error
        raise


def _unusable(root: Path, error: OSError) -> InputError:
    return InputError(
        f'cannot write to the cache folder "{root}": {error.strerror}. Make room '
        f"(`{command('cache', 'clear')}`) or allow writing there, or name another folder in "
        "KERASCNN_CACHE."
    )
