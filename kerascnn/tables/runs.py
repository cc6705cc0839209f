"""What the commands show of a run."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from kerascnn.files import gigabytes
from kerascnn.metrics import Metrics
from kerascnn.tables.layout import Table, interval, line, number, plain, rows, words

if TYPE_CHECKING:  # other commands need nothing of theirs
    from kerascnn.export import Exported


def show_metrics(console: Console, metrics: Metrics) -> None:
    """Shows the accuracy with its interval and each class's precision, recall and F1."""
    console.print(
        line(
            "accuracy",
            f"[bold]{metrics.accuracy:.3f}[/bold] {interval(*metrics.interval)} "
            f"on {metrics.images:,} pictures",
        )
    )
    table = Table(words("class"), *map(number, ("precision", "recall", "F1", "pictures")))
    for name, of_class in metrics.per_class.items():
        shares = (of_class.precision, of_class.recall, of_class.f1) if of_class.images else ()
        said = [f"{share:.3f}" for share in shares] or ["–"] * 3
        table.add_row(plain(name), *said, f"{of_class.images:,}")
    console.print(table)


def show_export(console: Console, exported: "Exported") -> None:
    """Shows what was written, and what its runtime and Keras both said of pictures."""
    lines = {
        "wrote": f"{escape(exported.path)}, {gigabytes(exported.bytes)}, and "
        f"{escape(exported.description)}",
        "checked": f"{exported.runtime} on {exported.pictures} {exported.asked_about}: within "
        f"{exported.difference:.0e} of Keras [green]✓[/green]",
    }
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in lines.items()))
