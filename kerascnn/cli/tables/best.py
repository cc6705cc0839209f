"""What the command `best` prints in the end."""

from rich.console import Console
from rich.markup import escape

from kerascnn.cli.tables.layout import from_here, interval, line, plain
from kerascnn.results.page import seconds
from kerascnn.runtime.commands import command
from kerascnn.studies.best import verdict
from kerascnn.studies.best.page import PAGE
from kerascnn.studies.best.result import BestResult


def show_best(console: Console, result: BestResult) -> None:
    """Prints how certain the choice is, the accuracy, where the report is, and what comes next."""
    for sentence in (*verdict.alike(result), *verdict.left_out(result)):
        console.print(escape(sentence), soft_wrap=True)
    if result.winner:
        accuracy = f"accuracy [bold]{result.winner.test_accuracy:.3f}[/bold]"
        within = interval(*result.winner.test_accuracy_interval)
        images = f"on {result.winner.test['images']:,} images"
        console.print(line("test", f"{accuracy} {within} {images}"), soft_wrap=True)
        console.print(line("run", escape(from_here(result.winner.artifacts))), soft_wrap=True)
        console.print(line("page", escape(from_here(str(result.folder / PAGE)))), soft_wrap=True)
    console.print(line("time", f"{seconds(result.seconds)} of {result.minutes:g} min"))
    for label, words in zip(("next", "", ""), verdict.next_commands(result), strict=False):
        console.print(line(label, escape(command(*words))), soft_wrap=True)


def show_tried(console: Console, result: BestResult) -> None:
    """Prints a line for each thing that was tried."""
    for one in result.tried:
        console.print(plain(verdict.tried_line(one)), soft_wrap=True)
