"""What the commands on an experiment print."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from kerascnn.cli.tables.layout import Table, line, number, plain, rows, words
from kerascnn.cli.tables.lines import overview_rows
from kerascnn.engine.check import StageCheck
from kerascnn.engine.events import overview
from kerascnn.engine.prepared import Prepared
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.text import counted, visible

CLASSES_SHOWN = 30

if TYPE_CHECKING:  # not needed by other commands
    from kerascnn.studies.lr_find.range_test import RangeTest
    from kerascnn.studies.sweep.plan.load import Planned


def show_check(
    console: Console, prepared: Prepared, stages: list[StageCheck], sweep: "Planned | None" = None
) -> None:
    """Prints what each stage would do, and what a sweep would try."""
    described = overview_rows(overview(prepared))
    if sweep:
        tried = f"at most {counted(sweep.trials, 'trial')} over {', '.join(sweep.tables)}"
        described = [("sweep", escape(tried)), *described]
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in described))
    console.print()
    if len(prepared.data.class_names) <= CLASSES_SHOWN:
        console.print(_classes(prepared))
        console.print()
    numbers = map(number, ("parameters", "epochs × steps", "memory up to"))
    table = Table("stage", words("trains"), *numbers, words("boundary"))
    for stage in stages:
        table.add_row(
            stage.name,
            plain(stage.unfreeze),
            f"{stage.trainable_parameters:,}",
            f"{stage.epochs} × {stage.steps}",
            gigabytes(stage.memory_bytes),
            stage.boundary,
        )
    console.print(table)
    console.print()
    console.print("frozen prefix")
    console.print(rows(((escape(stage.name), escape(stage.frozen_part)) for stage in stages), 2))


def _classes(prepared: Prepared) -> RichTable:
    """The number of images per class and split."""
    counts = prepared.data.class_counts()
    table = Table(words("class"), *map(number, counts))
    for name, *row in zip(prepared.data.class_names, *counts.values(), strict=True):
        table.add_row(plain(name), *(f"{count:,}" for count in row))
    return table


def show_range_test(console: Console, test: "RangeTest", plot: Path, apply: str) -> None:
    """Prints the learning rates at which a stage can train, the suggested one, and how to use it.

    `apply` is the command that uses it.
    """
    end = "stopped when the loss reached 4 times its minimum" if test.diverged else "all rates"
    lines = {
        "tested": f"stage {escape(test.stage)}: {len(test.rates)} steps, from {test.rates[0]:.1e} "
        f"to {test.rates[-1]:.1e}: {end}",
        "current": f"{test.configured:.1e} in the experiment",
        **_suggested(test),
        "plot": escape(visible(str(plot))),
        **({"next": escape(visible(apply))} if test.suggestion else {}),
    }
    for label, text in lines.items():
        console.print(line(label, text), soft_wrap=True)  # commands must stay on one line


def _suggested(test: "RangeTest") -> dict[str, str]:
    if test.suggestion is None:
        return {"suggested": f"none: {test.why_none}. Keep {test.configured:.1e}."}
    return {
        "suggested": f"[bold]{test.suggestion:.1e}[/bold], a tenth of {test.lowest:.1e}, where the "
        f"loss is lowest; check with `{escape(command('compare'))}` whether it is better"
    }
