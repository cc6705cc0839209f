"""Files of images: found below a folder, opened, and named for people."""

import os
import stat
import unicodedata
from functools import partial
from pathlib import Path
from typing import BinaryIO

from kerascnn.runtime.image_files import has_image_suffix, ignored_kind


def shown(path: str | os.PathLike[str]) -> str:
    """A path for people: what is no text, or would break the line, is escaped."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in str(path)
    )


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file to read it; what is no regular file, such as a pipe, is refused at once."""
    # without O_NONBLOCK the opening of a pipe waits for its writer
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is no regular file")
    return open(descriptor, "rb")


def images_below(path: Path) -> list[Path]:
    """The path itself if it is no folder, else the visible images in it at any depth, by name.

    What systems leave in folders, and kerascnn's own output, is no part of it.
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
