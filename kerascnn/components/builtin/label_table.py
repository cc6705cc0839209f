"""The images that a table of labels lists, found in a folder in whatever form their paths are."""

import codecs
import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from kerascnn import InputError, counted, leads_out, nfc, split_named
from kerascnn.components.builtin.class_folders import (
    FOLLOWED,
    LAYOUT,
    Folders,
    Labelled,
    entries_of,
    near,
)
from kerascnn.components.builtin.label_columns import Columns, TableParams, find_columns, reader

Where = Callable[[str], Path | None]  # finds the image that a cell names; None if not known


class Row(NamedTuple):
    line: int
    path: str
    label: str
    split: str


def read_table(root: Path, params: TableParams, follow: bool) -> dict[str, list[Labelled]]:
    """The labelled images of each split; all under "train" if the table has no splits.

    With `follow`, links out of `root`, the folder of the images, are followed.
    """
    assert params.labels is not None
    table = root / params.labels.expanduser()
    rows = _rows(table, _text(table), params)
    paths = _paths(root, table, rows, follow)
    found: dict[str, list[Labelled]] = defaultdict(list)
    for row, path in zip(rows, paths, strict=True):
        place = f'"{table}", line {row.line}'
        if not follow and leads_out(path, root):
            raise InputError(f'{place}: "{row.path}" is a link out of "{root}", which {FOLLOWED}.')
        split = split_named(row.split)
        if split is None:
            raise InputError(f'{place}: split "{row.split}"; expected train, validation or test.')
        found[split].append((path, nfc(row.label)))
    if "train" not in found:
        raise InputError(
            f'"{table}" has {counted(len(rows), "row")} but none in the train split. {LAYOUT}'
        )
    return dict(found)


def _text(table: Path) -> str:
    try:
        content = table.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode"
        return content.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, ValueError) as error:
        close = near(table.name, (path.name for path in entries_of(table.parent)))
        raise InputError(f'cannot read `labels`, "{table}": {error}.{close}') from error


def _rows(table: Path, text: str, params: TableParams) -> list[Row]:
    if said := re.match(r'"?sep=(.)"?\r?\n', text):  # Excel's first line
        text = text[said.end() :]
        params = params.model_copy(update={"separator": params.separator or said[1]})
    try:
        separator, columns = find_columns(table, text, params)
        lines = reader(text, separator)
        next(lines, None)
        return [
            _row(f'"{table}", line {lines.line_num}', lines.line_num, cells, columns)
            for cells in lines
            if any(map(str.strip, cells))  # spreadsheets end in rows of empty cells
        ]
    except csv.Error as error:
        raise InputError(f'cannot read `labels`, "{table}": {error}.') from error


def _row(place: str, line: int, cells: Sequence[str], columns: Columns) -> Row:
    wanted = [*columns.path, *columns.label, *columns.split]
    values = [cells[at].strip() if at < len(cells) else "" for at in wanted]
    if not all(values) or any(map(str.strip, cells[len(columns.names) :])):
        raise InputError(
            f"{place}: expected {len(columns.names)} values, including "
            f"{', '.join(columns.names[at] for at in wanted)}; got {list(cells)}."
        )
    return Row(line, *values, *["train"][len(values) - 2 :])


def _paths(root: Path, table: Path, rows: Sequence[Row], follow: bool) -> list[Path]:
    """The file of each row, from the reading of the paths that finds the most files."""
    cells, best, fewest = [row.path for row in rows], list[Path | None](), len(rows) + 1
    for where in _ways(root, table, cells, follow):
        paths = [where(cell) for cell in cells]
        missing = sum(not _is_in(path, root) for path in paths)
        if missing < fewest:
            best, fewest = paths, missing
        if not missing:
            break
    _check_missing(root, table, rows, best)
    found = [path for path in best if path]
    for path, count in Counter(map(os.path.normpath, found)).items():
        if count > 1:
            raise InputError(
                f'"{table}" lists "{path}" {count} times; each file may appear only once.'
            )
    return found


def _ways(root: Path, table: Path, cells: Sequence[str], follow: bool) -> Iterator[Where]:
    """The readings of a table's paths, the usual one first."""
    yield lambda cell: root / _slashed(cell, root)
    yield lambda cell: table.parent / _slashed(cell, root)
    for count in range(1, _leading(cells) + 1):  # leading folders of another place or machine
        yield lambda cell, count=count: root.joinpath(*_parts(cell)[count:])  # type: ignore[misc]
    known = _by_name(root, follow)
    yield lambda cell: _only(table, cell, known.get("/".join(_parts(cell)), ()))


def _leading(cells: Sequence[str]) -> int:
    """The number of leading folders that all paths share."""
    places = [_parts(cell)[:-1] for cell in cells] or [[]]
    pairs = zip(min(places), max(places), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _slashed(cell: str, root: Path) -> str:
    """A path with backslashes as slashes, unless a file has backslashes in its name."""
    return cell if "\\" not in cell or (root / cell).is_file() else cell.replace("\\", "/")


def _parts(cell: str) -> list[str]:
    return [part for part in cell.replace("\\", "/").split("/") if part not in ("", ".")]


def _by_name(root: Path, follow: bool) -> dict[str, list[Path]]:
    """The images of a folder by the names that a table may use: without suffix or folders too."""
    known: dict[str, list[Path]] = defaultdict(list)
    for path in Folders(follow).walk(root):
        inside = path.relative_to(root)
        for name in {inside.as_posix(), inside.with_suffix("").as_posix(), path.name, path.stem}:
            known[name].append(path)
    return known


def _only(table: Path, cell: str, paths: Sequence[Path]) -> Path | None:
    if len(paths) > 1:
        raise InputError(
            f'"{table}" lists "{cell}", which could be "{paths[0]}" or "{paths[1]}". Write full '
            "paths, or set `path` to the folder of the right images."
        )
    return paths[0] if paths else None


def _is_in(path: Path | None, root: Path) -> bool:
    return path is not None and not _leaves(path, root) and path.is_file()


def _leaves(path: Path, root: Path) -> bool:
    return "\0" in str(path) or not Path(os.path.normpath(path)).is_relative_to(root)


def _check_missing(
    root: Path, table: Path, rows: Sequence[Row], paths: Sequence[Path | None]
) -> None:
    missing = [(row, path) for row, path in zip(rows, paths, strict=True) if not _is_in(path, root)]
    for row, path in missing:
        if path and _leaves(path, root):
            raise InputError(f'"{table}", line {row.line}: "{row.path}" leads out of "{root}".')
    if missing:
        row, path = missing[0]
        path = path or root / row.path
        written = f' (written with backslashes, "{row.path}")' if "\\" in row.path else ""
        close = near(path.name, (other.name for other in entries_of(path.parent)))
        raise InputError(
            f'"{table}": {len(missing):,} of {counted(len(rows), "file")} missing, such as '
            f'"{path}"{written}.{close}'
        )
