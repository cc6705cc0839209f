"""What `check --labels` prints."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from kerascnn.cli.tables.layout import Table, from_here, line, number, plain, words
from kerascnn.runtime.commands import command
from kerascnn.runtime.text import counted, visible
from kerascnn.studies.labels.result import LabelCheck

SHOWN = 10


def show_labels(console: Console, check: LabelCheck, file: Path) -> None:
    """Prints the most suspicious labels, the counts of odd images, and the next command."""
    console.print(line("labels", f"{check.verdict}   {check.seconds:.1f} s"))
    if wrong := check.wrong[:SHOWN]:
        table = Table(words("image"), words("labelled"), words("looks like"), number("suspicion"))
        for one in wrong:
            cells = map(plain, (from_here(one.image), one.label, one.suggested))
            table.add_row(*cells, f"{one.score:.2f}")
        console.print()
        console.print(table)
        console.print()
    for look in check.looks:
        noun = "image" if all(len(group) == 1 for group in look.groups) else "group"
        said = f"{counted(len(look.groups), noun)}: {look.title[0].lower()}{look.title[1:]}"
        console.print(line("look at", escape(said)))
    console.print(line("page", escape(visible(check.page))), soft_wrap=True)
    console.print(line("table", escape(visible(check.table))), soft_wrap=True)
    apply = command("run", str(file), "--set", f"dataset.corrections={check.table}")
    console.print(line("next", "correct labels on the page or in the table, then:"))
    console.print(line("", escape(visible(apply))), soft_wrap=True)
