"""Parquet files with a column of image files, as Hugging Face's datasets write them."""

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from kerascnn.engine.data.shards.shard import ImageIn, Scan, Shard
from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.commands import pip_install
from kerascnn.runtime.shared_file import SharedFile

_IMAGES = ("image", "img", "images", "jpg", "png", "webp")
_LABELS = ("label", "labels", "class", "category", "fine_label", "target", "cls")
_HELD_BYTES = 2**28  # of row groups that a process keeps, at most, besides the last one


@dataclass(frozen=True)
class ParquetFormat:
    """Parquet files of images.

    Args:
        image: The column of the image files: bytes, or a struct with `bytes` and `path`.
        label: The column of the labels: numbers or names. Both default to usual names.
    """

    image: str = ""
    label: str = ""

    @property
    def decides(self) -> str:
        return f"parquet {self.image} {self.label}"

    def scan(self, shard: Shard, file: SharedFile) -> Scan:
        table = _opened(shard, file)
        image = _column(shard, table, self.image, _IMAGES, "image")
        label = _column(shard, table, self.label, _LABELS, "label")
        images = _images(shard, table, image, label)
        return Scan(f'column "{label}"', images, {})

    def read(self, shard: Shard, file: SharedFile, places: np.ndarray) -> Sequence[bytes]:
        groups = zip(places["method"].tolist(), places["offset"].tolist(), strict=True)
        return [_GROUPS.get(shard, file, self.image, group)[row].as_py() for group, row in groups]


def _opened(shard: Shard, file: SharedFile) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        install = pip_install("kerascnn[parquet]")
        raise InputError(f"Parquet files need pyarrow; run `{install}`.") from error
    try:
        return pyarrow.parquet.ParquetFile(pyarrow.PythonFile(file, "r"))
    except (pyarrow.ArrowException, OSError) as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f'cannot read "{shard.name}": {first}. It was cut off, damaged or is not a Parquet '
            "file: download or write it again."
        ) from error


def _column(shard: Shard, table: Any, asked: str, known: Sequence[str], what: str) -> str:
    names = table.schema_arrow.names
    found = asked if asked in names else next((name for name in known if name in names), "")
    if (asked and asked not in names) or not found:
        raise InputError(
            f'"{shard.name}" has no column "{asked or known[0]}".{did_you_mean(asked, names)} Set '
            f"dataset.{what}_column to one of its columns: {', '.join(names)}."
        )
    return found


def _class_names(table: Any, label: str) -> Sequence[str] | None:
    """The names that Hugging Face's datasets store for the numbers of a column."""
    stored = (table.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    feature = json.loads(stored).get("info", {}).get("features", {}).get(label, {})
    return feature.get("names") if isinstance(feature, dict) else None


def _images(shard: Shard, table: Any, image: str, label: str) -> Iterator[ImageIn]:
    names, done = _class_names(table, label), 0
    for group in range(table.num_row_groups):
        rows = table.read_row_group(group, [image, label])
        contents, labels = _bytes(shard, rows, image), rows.column(label)
        paths = _paths(rows, image)
        for row, (content, said) in enumerate(zip(contents, labels, strict=True)):
            content, text = content.as_py(), _label(shard, done + row, said.as_py(), names)
            if content is None:
                raise InputError(
                    f'row {done + row} of "{shard.name}" has no image in it (only a path, or '
                    "nothing). Write the images into the file, as `Dataset.to_parquet` does."
                )
            name = (paths and paths[row].as_py()) or str(done + row)
            yield ImageIn(name, text, row, len(content), group, content)
        done += len(labels)


def _label(shard: Shard, row: int, value: Any, names: Sequence[str] | None) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or value in ("", -1):
        raise InputError(
            f'the label of row {row} of "{shard.name}" must be a number from 0 or a class name, '
            f"not {value!r:.40}. Set dataset.label_column, or leave unlabelled files out."
        )
    return names[value] if names and isinstance(value, int) and value < len(names) else str(value)


def _bytes(shard: Shard, rows: Any, image: str) -> Any:
    """The column of the image files, as one array."""
    import pyarrow as arrow

    column = rows.column(image).combine_chunks()
    if arrow.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = column.field("bytes")
    if not (arrow.types.is_binary(column.type) or arrow.types.is_large_binary(column.type)):
        raise InputError(
            f'the column "{image}" of "{shard.name}" has {column.type}, not the bytes of image '
            "files. Set dataset.image_column."
        )
    return column


def _paths(rows: Any, image: str) -> Any:
    column = rows.column(image).combine_chunks()
    has = hasattr(column.type, "get_field_index") and column.type.get_field_index("path") >= 0
    return column.field("path") if has else None


class _RowGroups:
    """The row groups used last: a row cannot be read without its group."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[Shard, str, int], Any] = OrderedDict()
        self._lock = Lock()

    def get(self, shard: Shard, file: SharedFile, image: str, group: int) -> Any:
        with self._lock:
            key = shard, image, group
            if key not in self._held:
                table = _opened(shard, file)
                column = _column(shard, table, image, _IMAGES, "image")
                self._held[key] = _bytes(shard, table.read_row_group(group, [column]), column)
                while len(self._held) > 1 and self._bytes > _HELD_BYTES:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            return self._held[key]

    @property
    def _bytes(self) -> int:
        return sum(rows.nbytes for rows in self._held.values())


_GROUPS = _RowGroups()
