"""What is in an image, wherever a source has it: the bytes that its hash covers."""

import os
from pathlib import Path
from typing import Any

from kerascnn.engine.data.files import open_file


def content_of(image: Any) -> bytes:
    """The bytes of an image: a path, encoded bytes, or an array of pixels.

    A file that cannot be read has none: whoever decodes it reports why.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | os.PathLike):
        return file_content(Path(image))
    return str(image.shape).encode() + image.tobytes()


def file_content(path: Path) -> bytes:
    """The bytes of a regular file; none if it cannot be read."""
    try:
        with open_file(path) as file:
            return file.read()
    except (OSError, ValueError):
        return b""
