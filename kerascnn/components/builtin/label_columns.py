"""The columns of a table of labels, and their separator."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from kerascnn import InputError, Params, did_you_mean

SEPARATORS = (",", ";", "\t", "|")

# Names of columns, only letters and digits: the first set with a match decides.
PATHS = (
    {"path"},
    {"file", "files", "filename", "filenames", "filepath", "filepaths", "imagepath", "imagefile"}
    | {"imagefilename", "imagename", "imgpath", "imgname"},
    {"image", "images", "img", "imageid", "imgid", "imageindex", "picture", "photo"},
    {"id"},
)
LABELS = ({"label"}, {"labels", "class", "classes", "classname", "labelname", "category", "target"})
INDICES = {"", "index", "unnamed0", "rownames"}  # row numbers, as pandas and R write them


class TableParams(Params):
    """Labels in a table."""

    labels: Path | None = Field(
        None,
        description="A CSV file of the images and their labels, relative to `path`, instead of "
        "class folders. Its first line names the columns: the image (path, filename, image_id or "
        "similar; relative to `path`), its label (label, class, category or similar) and "
        "optionally its split (train, validation or test). Other columns are ignored.",
        json_schema_extra={"relative_to": "path"},
    )
    path_column: str | None = Field(
        None, description="The column of the image, if it is ambiguous."
    )
    label_column: str | None = Field(
        None, description="The column of the label, if it is ambiguous."
    )
    separator: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description='The separator of the columns, such as ";" or "\\t", if it is ambiguous.',
    )


def reader(text: str, separator: str, *, strict: bool = True) -> Any:
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)


class Columns:
    """The names of a table's columns, and the indices of those that may be image, label and split.

    A clear table has one image and one label; a split is optional.
    """

    def __init__(self, header: Sequence[str], params: TableParams) -> None:
        self.names = names = [name.strip() for name in header]
        self.split = [at for at, name in enumerate(names) if _plain(name) == "split"][:1]
        self.path = self._columns(PATHS, params.path_column)
        self.label = self._columns(LABELS, params.label_column)
        if len(self.path) + len(self.label) == 1:  # of two columns, the other one is missing
            telling = [at for at, name in enumerate(names) if _plain(name) not in INDICES]
            others = [at for at in telling if at not in (*self.path, *self.label)]
            self.path, self.label = self.path or others, self.label or others

    def _columns(self, known: Iterable[set[str]], said: str | None) -> list[int]:
        """The columns with the given name, or with known names."""
        if said is not None:
            return [at for at, name in enumerate(self.names) if name == said]
        plain = list(map(_plain, self.names))
        groups = ([at for at, name in enumerate(plain) if name in group] for group in known)
        return next(filter(None, groups), [])

    @property
    def clear(self) -> bool:
        return len(self.path) == len(self.label) == 1 and self.path != self.label

    @property
    def unclear(self) -> str:
        """What is ambiguous: which one "names the image", "is the label", or both."""
        candidates = {"names the image": self.path, "is the label": self.label}
        unclear = [
            f"{what} ({' or '.join(self.names[at] for at in columns)})" if columns else what
            for what, columns in candidates.items()
            if len(columns) != 1
        ]
        return " and which one ".join(unclear or candidates)


def find_columns(table: Path, text: str, params: TableParams) -> tuple[str, Columns]:
    """The separator and the columns of a table.

    Raises:
        InputError: They are ambiguous; the message lists the columns and the settings.
    """
    found = {
        separator: Columns(next(reader(text, separator, strict=False), []), params)
        for separator in ([params.separator] if params.separator else SEPARATORS)
    }
    separator, columns = max(found.items(), key=lambda item: (item[1].clear, len(item[1].names)))
    names = ", ".join(columns.names) or "(none)"
    for setting in ("path_column", "label_column"):
        said = getattr(params, setting)
        if said is not None and said not in columns.names:
            raise InputError(
                f'dataset.{setting} = "{said}": "{table}" has no such column.'
                f"{did_you_mean(said, columns.names)} Its columns are {names}, separated by "
                f"{separator!r}."
            )
    if not columns.clear:
        raise InputError(
            f'"{table}" has the columns {names}, separated by {separator!r}: it is unclear which '
            f"one {columns.unclear}. Set dataset.path_column and dataset.label_column to their "
            "names, or dataset.separator if that is wrong."
        )
    return separator, columns


def _plain(name: str) -> str:
    """A column's name in small letters and digits: the same for Image-ID and "image id"."""
    return re.sub(r"[\W_]", "", name.lower())
