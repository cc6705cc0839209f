"""Tables in CSV files, whole or absent; paths in them may be any that the file system has."""

import csv
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from kerascnn.runtime.files import whole_file


def write_csv(file: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table with a line of names first."""
    with whole_file(file) as new, _opened(new, "w") as opened:
        csv.writer(opened).writerows(chain([head], rows))


def read_csv(file: Path) -> list[list[str]]:
    """The rows of a table that `write_csv` wrote, without the names."""
    with _opened(file, "r") as opened:
        _, *rows = csv.reader(opened)
    return rows


def _opened(file: Path, mode: str) -> IO[str]:
    return file.open(mode, newline="", encoding="utf-8", errors="surrogatepass")
