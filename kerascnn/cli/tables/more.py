"""What `more` prints: the images a wished accuracy takes, the classes, what to label next."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from kerascnn.cli.tables.layout import Table, from_here, line, number, plain, words

if TYPE_CHECKING:  # not needed by other commands
    from kerascnn.studies.more.result import MoreResult

LISTED = 20  # images to label next; the others are in the table


def show_more(console: Console, result: "MoreResult") -> None:
    """Prints the answer, the classes that profit most, and the images to label next."""
    from kerascnn.studies.more.page import class_rows
    from kerascnn.studies.more.result import bounded

    until = f"until {result.wished:g}"
    gain = "twice as many"
    columns = ("images", "recall", "90%", gain, "90%", until, "90%")
    table = Table(words("class"), *map(number, columns))
    for name, *cells in class_rows(result):
        table.add_row(plain(name), *map(escape, cells))
    console.print(table)
    console.print()
    if result.next:
        _show_next(console, result)
    expected = f"{bounded(result.now)} expected with all {result.images:,} images; measured out of "
    lines = [
        ("answer", result.answer),
        ("classes", result.profit),
        ("head", f"{expected}fold on the frozen features of {result.architecture}"),
        *([("copies", f"{result.copies:,} left out")] if result.copies else []),
        *([("table", f"{from_here(result.artifacts)}/next.csv")] if result.next else []),
        ("page", f"{from_here(result.artifacts)}/more.html"),
    ]
    for label, text in lines:
        console.print(line(label, escape(text)), soft_wrap=True)


def _show_next(console: Console, result: "MoreResult") -> None:
    table = Table(number("next"), words("image"), words("looks like"), number("probability"))
    images = result.next or []
    for place, one in enumerate(images[:LISTED], 1):
        cells = plain(from_here(one.image)), plain(one.suggested), f"{one.probability:.2f}"
        table.add_row(str(place), *cells)
    console.print(table)
    console.print()
