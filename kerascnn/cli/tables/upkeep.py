"""What `cache` and `doctor` print."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column

from kerascnn.cli.tables.layout import Table, number, plain, rows, words
from kerascnn.engine.network.prefix.fastest import OUTPUTS
from kerascnn.runtime.cache import MADE, Entry
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.text import counted


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
    kind = Column("kind", min_width=max(map(len, MADE)))
    used = Column("last used", no_wrap=True)
    table = Table(kind, number("rows"), number("size"), used, words("content"))
    for entry in _by_network(held):
        time = datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M")
        about = entry.about if entry.kind in MADE else entry.key
        count = "" if entry.rows is None else f"{entry.rows:,}"
        table.add_row(entry.kind, count, gigabytes(entry.bytes), time, plain(about))
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


def _by_network(held: list[Entry]) -> list[Entry]:
    """The entries, the last used first; those of a network's activations up to a layer are one.

    Their `about` is "NETWORK up to LAYER: images" or "…: view 3 of light"; that of what trained
    networks gave in the end is "NAME: outputs of a trained network".
    """
    networks = defaultdict[str, list[Entry]](list)
    for entry in held:
        of_network = entry.kind == "activations" and entry.rows is not None
        networks[entry.about.rpartition(": ")[0] if of_network else ""].append(entry)
    others = networks.pop("", [])
    together = [
        replace(
            sets[0],
            about=f"{network}: {_sets([entry.about for entry in sets])}",
            bytes=sum(entry.bytes for entry in sets),
            rows=sum(entry.rows or 0 for entry in sets),
        )
        for network, sets in networks.items()
    ]
    return sorted([*others, *together], key=lambda entry: entry.last_used, reverse=True)


def _sets(abouts: list[str]) -> str:
    images = sum(about.endswith(": images") for about in abouts)
    trained = sum(about.endswith(f": {OUTPUTS}") for about in abouts)
    views = len(abouts) - images - trained
    counts = {
        f"{images} sets of images" if images > 1 else "images": images,
        counted(views, "view"): views,
        f"outputs of {trained} trained networks" if trained > 1 else OUTPUTS: trained,
    }
    return " and ".join(count for count, some in counts.items() if some)


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
