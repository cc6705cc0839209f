"""What `evaluate` and `export` print."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from kerascnn.cli.tables.layout import Table, fits, interval, line, number, plain, rows, words
from kerascnn.cli.tables.lines import measured_lines
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.text import visible

if TYPE_CHECKING:  # not needed by other commands
    from kerascnn.results.export.export import Exported
    from kerascnn.results.inference.evaluate import Cautious, Evaluation, Mistake


MISTAKES_SHOWN = 20


def show_evaluation(console: Console, evaluation: "Evaluation") -> None:
    """Prints the accuracy, each class, the confusion matrix if it fits, and the mistakes."""
    of = (f"[bold]{evaluation.accuracy:.3f}[/bold]", interval(*evaluation.interval))
    console.print(line("accuracy", f"{' '.join(of)} on {evaluation.images:,} images"))
    for of_metric in measured_lines(evaluation.metrics):
        console.print(line("", of_metric))
    if evaluation.cautious:
        _show_cautious(console, evaluation.cautious)
    if evaluation.engine:
        console.print(line("engine", evaluation.engine))
    table = Table(words("class"), *map(number, ("precision", "recall", "F1", "images")))
    for name, of_class in evaluation.per_class.items():
        shares = (of_class.precision, of_class.recall, of_class.f1) if of_class.images else ()
        said = [f"{share:.3f}" for share in shares] or ["–"] * 3
        table.add_row(plain(name), *said, f"{of_class.images:,}")
    console.print(table)
    mistakes = evaluation.mistakes
    if not mistakes:
        return
    matrix = _confusion(evaluation)
    if fits(console, matrix):
        console.print()
        console.print(matrix)
    console.print()
    console.print(_mistakes(mistakes[:MISTAKES_SHOWN]))
    if len(mistakes) > MISTAKES_SHOWN:
        more = len(mistakes) - MISTAKES_SHOWN
        console.print(f"and {more:,} more; --json lists all, --html FILE shows them by class")


def _show_cautious(console: Console, of: "Cautious") -> None:
    """How many images are refused, and what the sets of classes hold."""
    if of.rejected is not None and of.rejected_interval:
        asked = of.asked["reject"]
        others = "" if of.accuracy is None else f"; accuracy {of.accuracy:.3f} on the others"
        console.print(
            line(
                "refused",
                f"{of.rejected:.3f} {interval(*of.rejected_interval)} as none of the classes, "
                f"{asked['share']:g} expected, by {asked['measure']}{others}",
            )
        )
    if of.coverage is not None and of.coverage_interval:
        console.print(
            line(
                "sets",
                f"have the right class for {of.coverage:.3f} {interval(*of.coverage_interval)} of "
                f"the images, {of.asked['coverage']['share']:g} asked; {of.set_size:.2f} classes "
                "on average",
            )
        )


def _confusion(evaluation: "Evaluation") -> RichTable:
    """True classes by predicted ones."""
    names = evaluation.result.class_names
    table = Table("true \\ predicted", *(number(escape(visible(name))) for name in names))
    for name, counts in zip(names, evaluation.confusion, strict=True):
        table.add_row(plain(name), *(f"{count:,}" if count else "·" for count in counts))
    return table


def _mistakes(mistakes: "list[Mistake]") -> RichTable:
    table = Table(words("mistake"), words("predicted"), number("p"), words("true"), number("p"))
    for one in mistakes:
        shares = (f"{one.probability:.3f}", f"{one.of_label:.3f}")
        taken, true = plain(one.predicted), plain(one.label)
        table.add_row(plain(one.image), taken, shares[0], true, shares[1])
    return table


def show_export(console: Console, exported: "Exported") -> None:
    """Prints what was written, and how its results compare with those of Keras."""
    lines = {
        "wrote": f"{escape(exported.path)}, {gigabytes(exported.bytes)}, and "
        f"{escape(exported.description)}",
        "checked": f"{exported.runtime} on {exported.images} {exported.asked_about}: within "
        f"{exported.difference:.0e} of Keras [green]✓[/green]",
    }
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in lines.items()))
