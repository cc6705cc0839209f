"""What the command `best` prints in the end."""

from rich.console import Console
from rich.markup import escape

from kerascnn.cli.tables.layout import interval, line
from kerascnn.runtime.commands import command
from kerascnn.studies.best import verdict
from kerascnn.studies.best.result import BestResult


def show_best(console: Console, result: BestResult) -> None:
    """Prints the accuracy, where the report is, and the next commands."""
    for sentence in verdict.left_out(result):
        console.print(escape(sentence), soft_wrap=True)
    if result.winner:
        accuracy = f"accuracy [bold]{result.winner.test_accuracy:.3f}[/bold]"
        within = interval(*result.winner.test_accuracy_interval)
        images = f"on {result.winner.test['images']:,} images"
        console.print(line("test", f"{accuracy} {within} {images}"), soft_wrap=True)
    for label, words in zip(("next", "", ""), verdict.next_commands(result), strict=False):
        console.print(line(label, escape(command(*words))), soft_wrap=True)
