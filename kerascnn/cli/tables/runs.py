"""What the commands on runs print."""

from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Column

from kerascnn.cli.tables.layout import Table, number, rows, words
from kerascnn.results.folders import RunFolder
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import gigabytes


def show_runs(console: Console, runs: list[RunFolder]) -> None:
    """Prints the runs of a folder, and whether their stores lack something."""
    columns = (Column(title, no_wrap=True) for title in ("run", "started", "status"))
    table = Table(*columns, number("test"), number("size"), words("experiment"))
    for run in runs:
        accuracy = f"{run.test_accuracy:.3f}" if run.test_accuracy is not None else ""
        unsent = f" · not uploaded to {run.store}" if run.unsent and run.status != "running" else ""
        started = datetime.fromisoformat(run.started).strftime("%Y-%m-%d %H:%M")
        what = escape(f"{run.experiment}: {run.name}{unsent}")
        size = gigabytes(run.bytes)
        table.add_row(run.run_id[:8], started, run.status, accuracy, size, what)
    if not runs:
        made = command("run", "FILE")
        console.print(f"no runs in this folder; create one with `{escape(made)}`")
        return
    console.print(table)
    total = gigabytes(sum(run.bytes for run in runs))
    folder = escape(str(Path(runs[0].folder).parent))
    kept = any(run.unsent and run.status != "running" for run in runs)
    following = [command("runs", "send")] if kept else []
    following += [command("runs", "remove", "RUN"), command("compare")]
    lines = [("folder", f"{folder} holds {total}")]
    lines += zip(("next", "", ""), map(escape, following), strict=False)
    console.print()
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in lines))
