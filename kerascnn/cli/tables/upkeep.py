"""What `cache` and `doctor` print."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column

from kerascnn.cli.tables.layout import Table, number, plain, rows, words
from kerascnn.runtime.cache import MADE, Entry
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import gigabytes


def cache_document(folder: Path, limit: int, held: list[Entry]) -> dict[str, Any]:
    """What the cache holds, for JSON."""
    return {
        "folder": str(folder),
        "limit_bytes": limit,
        "bytes": sum(entry.bytes for entry in held),
        "entries": [asdict(entry) for entry in held],
    }


def show_cache(console: Console, folder: Path, limit: int, held: list[Entry]) -> None:
    """Prints the entries, folder and limit of the cache."""
    table = Table("kind", number("size"), Column("last used", no_wrap=True), words("content"))
    for entry in held:
        used = datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M")
        about = entry.about if entry.kind in MADE else entry.key
        table.add_row(entry.kind, gigabytes(entry.bytes), used, plain(about))
    if held:
        console.print(table)
        console.print()
    total = gigabytes(sum(entry.bytes for entry in held)) if held else "nothing"
    made = sum(entry.bytes for entry in held if entry.kind in MADE)
    lines = {
        "folder": f"{escape(str(folder))} holds {total}",
        "limit": f"{gigabytes(made)} of {gigabytes(limit)} for all but downloads; "
        "set by KERASCNN_CACHE_LIMIT_GB",
        "next": command("cache", "clear", "--kind", "packed"),
        "": command("cache", "clear"),
    }
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in lines.items()))


def show_examination(console: Console, findings: dict[str, Any]) -> None:
    """Prints what `doctor` found."""
    console.print(rows((f"[bold]{key}[/bold]", value) for key, value in _findings(findings)))


def _findings(findings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in findings.items():
        if key in ("problems", "notes"):
            continue
        if isinstance(value, dict):
            value = [f"{name} {version}" for name, version in value.items()]
        yield key, escape(", ".join(value) if isinstance(value, list) else str(value))
    for problem in findings["problems"]:
        yield "problem", f"[red]{escape(problem)}[/red]"
    if not findings["problems"]:
        yield "problems", "[green]none[/green]"
    for note in findings["notes"]:
        yield "note", escape(note)
