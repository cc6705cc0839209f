"""The user's cache folder: data that can be recreated, by a hash of everything it depends on.

It is private to the user; KERASCNN_CACHE names another folder. It has a folder for each kind of
data, with a folder for each key, which is whole or absent. Beyond a limit the least recently used
entries are removed: KERASCNN_CACHE_LIMIT_GB, by default half of the disk space that would be free
without the cache; for a time it may be exceeded by 1%. Downloads do not count, and stay until the
user removes them.
"""

import errno
import math
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
from kerascnn.runtime.process import kept

T = TypeVar("T")

MADE = (
    "packed",
    "activations",
    "stages",
    "hashes",
    "databases",
    "sources",
    "networks",
    "shards",
    "copies",
    "batch_sizes",
)
KINDS = (*MADE, "downloads")

CLAIMS = "claims"
"""A folder in an entry of rows: a process that fills the entry holds a lock in it."""

KEYS, KEY_BYTES = "keys.bin", 32
"""The rows' keys in an entry of rows, and the bytes of one."""

_unseen_bytes: float = math.inf  # a process looks at the cache when it first stores something

_ABOUT = "about.txt"
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_FETCHED = re.compile(r"(\.unpacked(\..+)?|\.sha256(\.new)?)?(\.part)?$")  # what `fetch` appends


@dataclass(frozen=True)
class Entry:
    """An entry of the cache.

    Args:
        kind: "packed" images, "activations", "stages" (their results), "hashes" (of images, to find
            near copies), "databases" (MLflow's, with empty tables), "sources" (passed to other
            processes), "networks" (known to be loadable once saved), "shards" (what is in files of
            many images), "copies" (of remote ones), "batch_sizes" (that were measured) or
            "downloads".
        key: The hash of everything the content depends on; a download's file name.
        last_used: Seconds since 1970; for a download, when it was made.
        whole: False while it is being made, and for what a killed process left.
        rows: Images or activations that it holds, if it holds such; else None.
    """

    kind: str
    key: str
    bytes: int
    last_used: float
    about: str
    whole: bool
    rows: int | None = None


def cache_folder(*parts: str) -> Path:
    """A folder in the cache, created if necessary."""
    root = Path(os.environ.get("KERASCNN_CACHE") or user_cache_path("kerascnn"))
    try:
        for folder in (root, root.joinpath(*parts)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_shared(root)
        mark(root)  # it holds datasets, and may lie in a dataset's folder
    except OSError as error:
        raise _unusable(root, error) from error
    return folder


def _refuse_shared(root: Path) -> None:
    """The cache is trusted, so no other user may write to it."""
    if os.name == "nt":  # the home folder is private there, and modes are meaningless
        return
    status = root.stat()
    if status.st_mode & 0o002 or (os.geteuid() and status.st_uid not in (0, os.geteuid())):
        raise InputError(
            f'the cache folder "{root}" is shared: other users may write to it. Set KERASCNN_CACHE '
            "to a private folder."
        )


def cached(
    kind: str,
    key: str,
    about: str,
    build: Callable[[Path], None],
    read: Callable[[Path], T],
    *,
    durable: bool = True,
) -> T:
    """Reads an entry, after building it if it is missing.

    One process builds, others wait for it. A build that is killed or fails leaves no entry. Files
    that `read` has opened stay valid after the entry is removed: POSIX keeps an open file, and on
    Windows an entry with open files is not removed.

    Args:
        kind, key, about: See `Entry`.
        build: Fills the empty folder that it is given.
        read: Receives the entry's folder, which is locked meanwhile; its result is returned.
        durable: See `whole_folder`; not needed where `read` finds damage.

    Raises:
        InputError: The disk is full, or the cache folder is not writable.
    """
    folder = cache_folder(kind)
    entry = folder / key
    with writing(folder.parent), FileLock(folder / f"{key}.lock"):
        if not entry.is_dir():
            limit_asked()  # refused before the work
            _make(entry, about, build, durable)
            _keep_nearly_to_limit(entry)
        os.utime(entry)
        return read(entry)


def find(kind: str, key: str, read: Callable[[Path], T]) -> T | None:
    """Reads an entry as `cached` does; None if it is missing."""
    folder = cache_folder(kind)
    entry = folder / key
    if not entry.is_dir():  # before a lock file is made
        return None
    with writing(folder.parent), FileLock(folder / f"{key}.lock"):
        if not entry.is_dir():
            return None
        os.utime(entry)
        return read(entry)


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """An empty folder in the cache that is removed at the end of the block, and not before."""
    folder, key = cache_folder(kind), os.urandom(16).hex()
    lock = FileLock(folder / f"{key}.lock", thread_local=False)
    made = folder / f"{key}.scratch"
    with writing(folder.parent), lock:
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)


@kept
def limit_bytes() -> int:
    """The greatest size of the cache, without downloads, in bytes.

    The default takes a look at every entry; what the run itself stores does not change it.
    """
    return limit_asked() or _default_limit(entries(MADE))


def limit_asked() -> int:
    """The limit in bytes that KERASCNN_CACHE_LIMIT_GB sets; 0 if it does not.

    Raises:
        InputError: It is not a limit.
    """
    asked = os.environ.get("KERASCNN_CACHE_LIMIT_GB")
    if not asked:
        return 0
    try:
        limit = float(asked) * GB
    except ValueError:
        limit = 0
    if not 0 < limit < float("inf"):
        raise InputError(
            f"KERASCNN_CACHE_LIMIT_GB={asked}: expected a number of gigabytes above 0, such as 50; "
            "unset it to use half of the free disk space."
        )
    return max(1, int(limit))


def _default_limit(held: list[Entry]) -> int:
    return (shutil.disk_usage(cache_folder()).free + sum(entry.bytes for entry in held)) // 2


def entries(kinds: Iterable[str] = KINDS) -> list[Entry]:
    """The entries of the cache, the last used first."""
    found = [_entry(kind, key, paths) for kind in kinds for key, paths in _by_key(kind).items()]
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def clear(kind: str | None = None) -> list[Entry]:
    """Removes the entries of one kind, or of all, that are not in use; returns them."""
    found = entries([kind] if kind else KINDS)
    return [entry for entry in found if remove(entry.kind, entry.key)]


def _make(entry: Path, about: str, build: Callable[[Path], None], durable: bool) -> None:
    for leftover in _by_key(entry.parent.name).get(entry.name, ()):
        shutil.rmtree(leftover, ignore_errors=True)
    with whole_folder(entry, durable=durable) as new:
        build(new)
        (new / _ABOUT).write_text(about, "utf-8")


def keep_to_limit(but: str) -> None:
    """Removes unfinished entries, then the least recently used, down to the limit; `but` stays."""
    held = entries(MADE)
    limit = limit_asked() or _default_limit(held)
    total = sum(entry.bytes for entry in held)
    for entry in sorted(held, key=lambda entry: (entry.whole, entry.last_used)):
        if entry.whole and total <= limit:
            return
        if entry.key != but and remove(entry.kind, entry.key):
            total -= entry.bytes


def _keep_nearly_to_limit(new: Path) -> None:
    """Keeps to the limit unless this process has stored less than 1% of it since the last time.

    To look at all entries for each of thousands of small ones, as of shards, would take hours.
    """
    global _unseen_bytes
    _unseen_bytes += folder_bytes(new)
    if _unseen_bytes >= slack_bytes():
        keep_to_limit(but=new.name)
        _unseen_bytes = 0


def slack_bytes() -> int:
    """What a process may store before it looks at the size of the cache again."""
    return limit_bytes() // 100


def remove(kind: str, key: str) -> bool:
    """Removes an entry unless it is being built, filled or read, or, on Windows, has open files."""
    folder = cache_folder(kind)
    locks = ("lock", "unpacked.lock") if kind == "downloads" else ("lock",)
    with ExitStack() as held:
        try:
            for lock in locks:
                held.enter_context(FileLock(folder / f"{key}.{lock}", timeout=0))
            if any(is_held(lock) for lock in (folder / key / CLAIMS).glob("*.lock")):
                return False
            for path in _by_key(kind).get(key, ()):
                # renamed first: a half-removed entry must not look whole
                doomed = path.rename(folder / f"{path.name}.{os.urandom(4).hex()}.part")
                shutil.rmtree(doomed) if doomed.is_dir() else doomed.unlink()
        except (OSError, Timeout):
            return False
    return True


def is_held(lock: Path) -> bool:
    """Whether a living process holds a lock."""
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _by_key(kind: str) -> dict[str, list[Path]]:
    """The files and folders of a kind by key, without the locks."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in cache_folder(kind).iterdir():
        if path.suffix != ".lock":
            name = path.name
            found[name.split(".")[0] if kind in MADE else _FETCHED.sub("", name)].append(path)
    return found


def _entry(kind: str, key: str, paths: list[Path]) -> Entry:
    whole = any(path.name in (key, f"{key}.unpacked") for path in paths)
    about, rows = "" if whole else "unfinished", None
    if kind in MADE and whole:
        folder = paths[0].with_name(key)
        with suppress(OSError):  # it is being removed, or an earlier version made it
            about = (folder / _ABOUT).read_text("utf-8")
            rows = (folder / KEYS).stat().st_size // KEY_BYTES
    size, last_used = sum(map(folder_bytes, paths)), max(map(_changed, paths))
    return Entry(kind, key, size, last_used, about, whole, rows)


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0  # it has just been removed


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turns a full disk or a folder that is not writable into a message with a remedy."""
    try:
        yield
    except OSError as error:
        denied = isinstance(error, PermissionError) and str(error.filename).startswith(str(root))
        if denied or error.errno in _UNWRITABLE:
            raise _unusable(root, error) from error
        raise


def _unusable(root: Path, error: OSError) -> InputError:
    return InputError(
        f'cannot write to the cache folder "{root}": {error.strerror}. Free space '
        f"(`{command('cache', 'clear')}`), make it writable, or set KERASCNN_CACHE to another "
        "folder."
    )
