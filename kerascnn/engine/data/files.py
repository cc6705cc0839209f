"""Files of images: found below a folder, opened, and named for people."""

import os
import stat
import unicodedata
from functools import partial
from pathlib import Path
from typing import BinaryIO

from kerascnn.runtime.image_files import has_image_suffix, ignored_kind


def shown(path: str | os.PathLike[str]) -> str:
    """A path for messages: undecodable bytes and control characters are escaped."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in str(path)
    )


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a regular file to read it; ValueError for anything else, such as a pipe."""
    # without O_NONBLOCK, opening a pipe waits for its writer
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    return open(descriptor, "rb")


def images_below(path: Path) -> list[Path]:
    """The visible images in a folder at any depth, by name; of a file, the file itself.

    Files of operating systems and kerascnn's own output are left out.
    """
    if not path.is_dir():
        return [path]
    found = list[Path]()
    for at, folders, files in os.walk(path):
        folders[:] = filter(partial(_counts, at), folders)
        found += [Path(at, name) for name in files if has_image_suffix(name) and _counts(at, name)]
    return sorted(found)


def _counts(at: str, name: str) -> bool:
    return not name.startswith(".") and ignored_kind(Path(at, name)) is None
