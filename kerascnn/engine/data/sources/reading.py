"""Reads a source; its errors say where they were raised and what to do."""

import operator
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from kerascnn.engine.data.sources.files import shown
from kerascnn.errors import InputError, KerascnnError, SourceError
from kerascnn.hookspecs import Source
from kerascnn.runtime.tracebacks import described

_PIECE = 16  # rows requested at once

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
        item = source[row]
    return _checked(item, row)


def reader(source: Source, rows: Sequence[int]) -> Callable[[int], tuple[Any, int]]:
    """`read` for these rows, which are requested at once from a source that offers that.

    If one of them cannot be read, each is requested by itself.
    """
    many = getattr(source, "__getitems__", None)
    if many is None or not len(rows):
        return partial(read, source)
    asked = f"source.__getitems__({[*rows]!s:.40})"
    try:
        with source_faults(asked):
            items = list(many([*rows]))
    except SourceError:
        raise
    except InputError:
        return partial(read, source)
    if len(items) != len(rows):
        raise SourceError(f"{asked} returned {len(items)} items for {len(rows)} rows.")
    held = dict(zip(rows, items, strict=True))
    return lambda row: _checked(held[row], row)


def read_all(source: Source) -> Iterator[tuple[Any, int]]:
    """All images of a source with their labels, in order."""
    for first in range(0, len(source), _PIECE):
        rows = range(first, min(first + _PIECE, len(source)))
        yield from map(reader(source, rows), rows)


def name_of(source: Source, row: int) -> str:
    """An image's name by its source, its path, or its number if it has neither."""
    with suppress(InputError):
        if hasattr(source, "image_name"):
            with source_faults(f"source.image_name({row})"):
                return shown(source.image_name(row))
        image, _ = read(source, row)
        if isinstance(image, str | os.PathLike):
            return shown(image)
    return f"image {row}"


def _checked(item: Any, row: int) -> tuple[Any, int]:
    """An item of a source as image and label, where its types are right."""
    with source_faults(f"source[{row}]"):
        image, label = _pair(item, row)
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
