"""Files that are whole or not there at all, whenever the process or the power goes."""

import os
from pathlib import Path

GB = 10**9  # bytes


def gigabytes(count: float) -> str:
    """Bytes as text: 12.3 MB, 1.2 GB."""
    return f"{count / GB:.1f} GB" if count >= GB else f"{1000 * count / GB:.1f} MB"


def bytes_of(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def sync(path: Path) -> None:
    """Waits for the disk: were the power to fail, the new name might outlive the content."""
    if os.name == "nt":  # where folders cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file, or leaves the one that was there."""
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(text, "utf-8")
        sync(beside)
        beside.replace(path)
    except OSError:  # such as of a full disk
        beside.unlink(missing_ok=True)
        raise
