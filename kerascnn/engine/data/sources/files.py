"""Files of images, named for people, and the content of images: bytes and their hashes."""

import hashlib
import os
import stat
import unicodedata
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple


def shown(path: str | os.PathLike[str]) -> str:
    """A path for messages: undecodable bytes and control characters are escaped."""
    if (text := str(path)).isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in text
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


class ContentHash(NamedTuple):
    """SHA-256 of an image, hexadecimal."""

    whole: str  # of all its bytes
    image: str  # the same without EXIF data and comments, which programs change in copies


def content_of(image: Any) -> bytes:
    """All that decides what an image shows: of a file and of encoded bytes the bytes, of an array
    its type, shape and values.

    A file that cannot be read has none: whoever decodes it reports why.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | os.PathLike):
        return file_content(Path(image))
    return f"{image.dtype} {image.shape} ".encode() + image.tobytes()


def file_content(path: Path, otherwise: bytes = b"") -> bytes:
    """The bytes of a regular file; `otherwise` if it cannot be read."""
    try:
        with open_file(path) as file:
            return file.read()
    except (OSError, ValueError):
        return otherwise


def hash_content(content: bytes) -> ContentHash:
    whole, image = hashlib.sha256(content).hexdigest(), _without_notes(content)
    return ContentHash(whole, whole if image is content else hashlib.sha256(image).hexdigest())


def _without_notes(content: bytes) -> bytes:
    """A JPEG without EXIF, thumbnails and comments; anything else as it is."""
    at = 2
    while content[:2] == b"\xff\xd8" and content[at : at + 1] == b"\xff":
        marker = content[at + 1 : at + 2]
        if not (b"\xe0" <= marker <= b"\xef" or marker == b"\xfe"):  # APP0 to APP15, COM
            return content[at:]
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content
