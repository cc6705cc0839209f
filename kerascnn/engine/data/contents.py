"""The content of images: bytes and their hashes, wherever a source has them."""

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from kerascnn.engine.data.files import open_file


class ContentHash(NamedTuple):
    """SHA-256 of an image, hexadecimal.

    Args:
        whole: Of all its bytes.
        image: The same without EXIF data and comments, which programs change in copies.
    """

    whole: str
    image: str


def content_of(image: Any) -> bytes:
    """The bytes of an image: a path, encoded bytes, or an array of pixels.

    A file that cannot be read has none: whoever decodes it reports why.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | os.PathLike):
        return file_content(Path(image))
    return str(image.shape).encode() + image.tobytes()


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
