"""Reads a source; its errors say where they were raised and what to do."""

import operator
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerascnn.errors import KerascnnError, SourceError
from kerascnn.hookspecs import Source
from kerascnn.runtime.tracebacks import described

PER_THREAD = (
    "Threads and other processes read a source: open what belongs to one thread, such as a "
    "connection, in `__getitem__`, once for each, as the example in docs/plugins.md does "
    '("Threads and processes").'
)


def read(source: Source, row: int) -> tuple[Any, int]:
    """`source[row]`: an image and its label.

    Raises:
        InputError: The image cannot be read, as the source says.
        SourceError: The source failed.
    """
    with source_faults(f"source[{row}]"):
        image, label = _pair(source[row], row)
        encoded = isinstance(image, bytes | str | os.PathLike)
        if not (encoded or (hasattr(image, "dtype") and hasattr(image, "tobytes"))):
            what = f"a path, the bytes of an image file or a uint8 array, not {image!r:.60}"
            raise SourceError(f"the image of source[{row}] must be {what}.")
        try:
            return image, operator.index(label)
        except TypeError as error:
            what = f"an int, the index of its class name, not {label!r:.60}"
            raise SourceError(f"the label of source[{row}] must be {what}.") from error


def _pair(item: Any, row: int) -> tuple[Any, Any]:
    pair: Any = () if isinstance(item, dict) else item  # a dict would give its keys
    try:
        image, label = pair
    except (TypeError, ValueError) as error:
        count = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        what = f"(image, label), not a {type(item).__name__}{count}"
        raise SourceError(f"source[{row}] must return {what}.") from error
    return image, label


@contextmanager
def source_faults(what: str) -> Iterator[None]:
    """Turns any error of a source into a SourceError; `what` was called."""
    try:
        yield
    except (KerascnnError, MemoryError):
        raise
    except Exception as error:
        bound = isinstance(error, sqlite3.ProgrammingError) and "thread" in str(error)
        remedy = f" {PER_THREAD}" if bound else ""
        raise SourceError(f"{what} failed: {described(error)}.{remedy}") from error
