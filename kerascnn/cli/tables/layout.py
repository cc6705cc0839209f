"""Layout of printed output: labels in a left margin, tables without frames."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from kerascnn.runtime.text import visible

LABEL = 10  # columns of the left margin


def line(label: str, text: str) -> str:
    """A line with its label in the left margin."""
    return f"[bold]{label:<{LABEL}}[/bold]{text}"


def from_here(place: str) -> str:
    """A path relative to the working directory, if it is below it."""
    return place.removeprefix(f"{Path.cwd()}/")


def interval(low: float, high: float) -> str:
    return rf"\[{low:z.3f}, {high:z.3f}]"


def Table(*columns: Any) -> RichTable:  # noqa: N802
    """A table with a rule below its header and no other lines."""
    return RichTable(
        *columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
    )


def fits(console: Console, table: RichTable) -> bool:
    """Whether the table fits without truncating or wrapping a column."""
    unbound = console.options.update(max_width=sys.maxsize)
    return console.measure(table, options=unbound).maximum <= console.width


def plain(text: str) -> Text:
    """Text from users, such as the name of a class: shown literally, without markup."""
    return Text(visible(text))


def number(title: str) -> Column:
    return Column(plain(title), justify="right", no_wrap=True)


def words(title: str) -> Column:
    return Column(plain(title), overflow="fold")


def rows(pairs: Iterable[tuple[str, str | Text]], indent: int = 0) -> RichTable:
    """Two columns without a header: a label and its text."""
    name = Column(no_wrap=True, min_width=LABEL - 3)
    table = RichTable.grid(name, words(""), padding=(0, 3, 0, 0))
    for label, text in pairs:
        table.add_row(" " * indent + label, text)
    return table
