"""What `folds` prints: a line for each fold, then what all of them say of the experiment."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from kerascnn.cli.tables.layout import Table, interval, line, number, plain, words
from kerascnn.cli.tables.lines import measured_lines
from kerascnn.engine.result.folds import FoldsResult, FoldTable
from kerascnn.results.report.chapters import class_rows
from kerascnn.runtime.commands import command
from kerascnn.runtime.text import counted

CLASSES_SHOWN = 30


def fold_line(fold: FoldTable, k: int, repeats: int) -> str:
    """A fold that is done: its accuracy and time."""
    name = f"fold {fold['fold']:>{len(str(k))}}/{k}"
    if repeats > 1:
        name = f"repeat {fold['repeat']:>{len(str(repeats))}}/{repeats}, {name}"
    low, high = fold["interval"]
    tested = f"{interval(low, high)} on {counted(fold['images'], 'image')}"
    return f"  {name}  accuracy {fold['accuracy']:.3f} {tested}  {fold['seconds']:.0f} s"


def show_folds(
    console: Console, result: FoldsResult, file: Path | None, overrides: Sequence[str]
) -> None:
    """Prints the accuracy over all images, each class, and what to do next."""
    deviation, least, greatest = result.spread
    times = f", {result.repeats} times each" if result.repeats > 1 else ""
    console.print()
    console.print(_classes(result))
    if len(result.class_names) > CLASSES_SHOWN:
        more = len(result.class_names) - CLASSES_SHOWN
        console.print(f"and {more:,} more; --json lists all.")
    console.print()
    options = [word for setting in overrides for word in ("--set", setting)]
    train = [command("run", str(file), *options)] if file else []
    following = [*train, command("compare", result.run_id[:8], "OTHER_STUDY")]
    lines = [
        (
            "accuracy",
            f"[bold]{result.accuracy:.3f}[/bold] {interval(*result.interval)} on "
            f"{result.images:,} images{times}, none by a network that has seen it",
        ),
        *(("", said) for said in measured_lines(result.metrics)),
        (
            "folds",
            f"{least:.3f} to {greatest:.3f}, standard deviation {deviation:.3f}; by chance alone "
            f"{result.chance:.3f}",
        ),
        ("time", f"{result.seconds:.0f} s"),
        ("table", escape(str(_from_here(result.predictions)))),
        ("page", escape(str(_from_here(result.page)))),
        *zip(("next", "", ""), map(escape, following), strict=False),
    ]
    for label, text in lines:
        console.print(line(label, text), soft_wrap=True)


def _classes(result: FoldsResult) -> RichTable:
    """Each class, the lowest F1 first, and what it is mistaken for most often."""
    confusion = np.array(result.test["confusion"])
    np.fill_diagonal(confusion, 0)
    table = Table(
        words("class"),
        *map(number, ("images", "recall", "95%", "precision", "F1")),
        words("mistaken for"),
    )
    for row in class_rows(result)[:CLASSES_SHOWN]:
        taken = confusion[result.class_names.index(row.name)]
        share = taken.max() / max(result.repeats, 1)
        table.add_row(
            plain(row.name),
            f"{row.images:,}",
            f"{row.recall:.3f}",
            interval(*row.recall_interval) if row.recall_interval else "",
            f"{row.precision:.3f}",
            f"{row.f1:.3f}",
            plain(f"{result.class_names[taken.argmax()]} ({share:.3g})" if share else ""),
        )
    return table


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
