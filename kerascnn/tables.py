"""What the other commands show: tables that fit the terminal."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column
from rich.table import Table as RichTable

from kerascnn.cache import GB, MADE, Entry
from kerascnn.compare import Compared
from kerascnn.config_errors import as_toml
from kerascnn.metrics import Metrics
from kerascnn.parameters import Parameter, parameters, snippet, toml
from kerascnn.plugins import GROUP, KINDS, Registered, Registry
from kerascnn.prepare import Prepared, StageCheck
from kerascnn.terminal import LABEL, describe, interval, line

if TYPE_CHECKING:  # other commands need nothing of the kit
    from kerascnn.testing import Outcome


def Table(*columns: Any) -> RichTable:  # noqa: N802
    """A table with a rule under its head and no other lines."""
    return RichTable(
        *columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
    )


def number(title: str) -> Column:
    return Column(title, justify="right", no_wrap=True)


def words(title: str) -> Column:
    return Column(title, overflow="fold")


def rows(pairs: Iterable[tuple[str, str]], indent: int = 0) -> Padding:
    """Names and what is said of each, in two columns without a head."""
    name = Column(no_wrap=True, min_width=LABEL - 3 - indent)
    table = RichTable.grid(name, words(""), padding=(0, 3, 0, 0))
    for pair in pairs:
        table.add_row(*pair)
    return Padding.indent(table, indent)


def show_check(console: Console, prepared: Prepared, stages: list[StageCheck]) -> None:
    """Shows what each stage would do."""
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in describe(prepared)))
    console.print()
    numbers = map(number, ("parameters", "epochs × steps", "memory about"))
    table = Table("stage", words("trains"), *numbers, words("boundary"))
    for stage in stages:
        table.add_row(
            stage.name,
            escape(stage.unfreeze),
            f"{stage.trainable_parameters:,}",
            f"{stage.epochs} × {stage.steps}",
            f"{stage.memory_bytes / 2**20:,.0f} MiB",
            stage.boundary,
        )
    console.print(table)
    console.print()
    console.print("frozen part of the network")
    console.print(rows(((escape(stage.name), escape(stage.frozen_part)) for stage in stages), 2))


def plugins_document(registry: Registry, kind: str | None) -> dict[str, Any]:
    """The components and the faults, for JSON."""
    return {
        "components": [
            _component_json(registered)
            for registered in registry.unique
            if kind in (None, registered.kind)
        ],
        "faults": [{**asdict(fault.origin), "reason": fault.reason} for fault in registry.faults],
        "not_allowed": [asdict(origin) for origin in registry.not_allowed],
        "conflicts": registry.conflicts(),
    }


def _component_json(registered: Registered) -> dict[str, Any]:
    return {
        "kind": registered.kind,
        "name": registered.component.name,
        "summary": registered.component.summary,
        "distribution": registered.origin.distribution,
        "version": registered.origin.version,
    }


def show_plugins(console: Console, registry: Registry, kind: str | None) -> None:
    """Shows the components by kind, then what could not be loaded."""
    for shown in [kind] if kind else KINDS:
        console.print(f"[bold]{shown}s[/bold]")
        console.print(rows(map(_listed, registry.of_kind(shown)), indent=2))
    if registry.faults:
        console.print("[bold red]not loaded[/bold red]")
        faults = ((str(fault.origin), escape(fault.reason)) for fault in registry.faults)
        console.print(rows(faults, indent=2))
    if registry.not_allowed:
        console.print("[bold]not allowed[/bold], and not loaded")
        names = dict.fromkeys(escape(str(origin)) for origin in registry.not_allowed)
        console.print(rows(((name, "") for name in names), indent=2))
    for conflict in registry.conflicts():
        console.print(f"[bold red]conflict[/bold red]: {escape(conflict)}")


def component_document(registered: Registered) -> dict[str, Any]:
    """A component with its parameters, for JSON."""
    return {
        **_component_json(registered),
        "parameters": [asdict(parameter) for parameter in parameters(registered)],
        "snippet": snippet(registered),
    }


def show_component(console: Console, registered: Registered) -> None:
    """Shows where a component comes from, its parameters, and the TOML that chooses it."""
    component = registered.component
    console.print(f"[bold]{component.name}[/bold]   {registered.kind} of {registered.origin}")
    if component.summary:
        console.print(escape(component.summary))
    console.print()
    shown = [(parameter.name, _described(parameter)) for parameter in parameters(registered)]
    console.print(rows(shown or [("no parameters", "")]))
    console.print()
    console.print(escape(snippet(registered)), soft_wrap=True)


def _described(parameter: Parameter) -> str:
    """Type, range and default in a line, and in the next what it is for."""
    default = "not set" if parameter.default is None else toml(parameter.default)
    said = "required" if parameter.required else f"default {default}"
    line = escape(" · ".join(filter(None, (parameter.type, parameter.range, said))))
    about = f"\n[dim]{escape(parameter.description)}[/dim]" if parameter.description else ""
    return line + about


def _listed(registered: Registered) -> tuple[str, str]:
    """A component's row; where it comes from is said of what does not come with kerascnn."""
    origin = registered.origin
    foreign = f" [dim]({origin})[/dim]" if origin.distribution != GROUP else ""
    return registered.component.name, escape(registered.component.summary) + foreign


_MARKS = {"passed": "[green]✓[/green]", "failed": "[red]✗[/red]", "skipped": "[dim]–[/dim]"}


def outcomes_document(
    registered: Registered, backend: str, outcomes: "Sequence[Outcome]"
) -> dict[str, Any]:
    """What the checks of a component came to, for JSON."""
    return {
        **_component_json(registered),
        "backend": backend,
        **_counts(outcomes),
        "checks": [
            {
                "name": outcome.check.name,
                "status": outcome.status,
                "detail": outcome.detail,
                "expected": outcome.check.rule,
                "contract": outcome.check.contract,
                "seconds": outcome.seconds,
            }
            for outcome in outcomes
        ],
    }


def show_outcomes(
    console: Console,
    registered: Registered,
    backend: str,
    command: str,
    outcomes: "Iterable[Outcome]",
) -> int:
    """Shows each check as it ends, then the failures in full; returns their number."""
    from kerascnn.testing import checks

    name = registered.component.name
    console.print(f"[bold]{name}[/bold]   {registered.kind} of {registered.origin} · {backend}")
    width = max(len(check.name) for check in checks(registered.kind))
    ended = []
    for outcome in outcomes:
        said = escape(outcome.detail) if outcome.status != "failed" else "see below"
        dim = f"[dim]{said}[/dim]" if outcome.status == "skipped" else said
        row = f"{_MARKS[outcome.status]} {outcome.check.name:<{width}}   {dim}"
        console.print(row.rstrip(), soft_wrap=True)
        ended.append(outcome)
    failed = [outcome for outcome in ended if outcome.status == "failed"]
    for outcome in failed:
        console.print(f"\n[red]✗[/red] {escape(str(outcome))}", soft_wrap=True)
    counts = ", ".join(f"{count} {status}" for status, count in _counts(ended).items() if count)
    console.print(f"\n{counts} in {sum(outcome.seconds for outcome in ended):.1f} s")
    following = command if failed else f"kerascnn plugins show {name} --kind {registered.kind}"
    console.print(line("next", escape(following)), soft_wrap=True)
    return len(failed)


def _counts(outcomes: "Iterable[Outcome]") -> dict[str, int]:
    statuses: list[str] = [outcome.status for outcome in outcomes]
    return {status: statuses.count(status) for status in _MARKS}


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
        shares = (f"{v:.3f}" for v in (of_class.precision, of_class.recall, of_class.f1))
        table.add_row(escape(name), *shares, f"{of_class.images:,}")
    console.print(table)


def show_comparison(console: Console, runs: list[Compared]) -> None:
    """Shows runs, the most accurate first, with the settings in which they differ."""
    if not runs:
        console.print("there is no finished run here yet; `kerascnn run FILE` makes one.")
        return
    settings = list(runs[0].settings)
    unbound = console.options.update(max_width=sys.maxsize)
    if console.measure(_results(runs, settings), options=unbound).maximum <= console.width:
        console.print(_results(runs, settings))
    else:
        console.print(_results(runs, []))
        console.print()
        console.print(_settings(runs, settings))
    if not all(run.same_test_pictures for run in runs):
        console.print("* judged on other test pictures: its accuracy is not comparable.")


def _results(runs: list[Compared], settings: list[str]) -> RichTable:
    """A row a run: what it came to, and those settings."""
    numbers = ("accuracy", "95%", "F1", "parameters", "time", "size")
    table = Table("run", *map(number, numbers), *map(words, settings))
    for run in runs:
        table.add_row(
            run.run_id[:8] if run.same_test_pictures else f"{run.run_id[:8]} *",
            f"{run.test_accuracy:.3f}",
            interval(*run.interval),
            f"{run.macro_f1:.3f}",
            f"{run.parameters:,}",
            f"{run.seconds:,.0f} s",
            f"{run.size_bytes / 2**20:.1f} MiB",
            *(_setting(run.settings[name]) for name in settings),
        )
    return table


def _settings(runs: list[Compared], settings: list[str]) -> RichTable:
    """A column a run, where the settings are too many to stand beside the results."""
    table = Table(Column("setting", no_wrap=True), *(words(run.run_id[:8]) for run in runs))
    for name in settings:
        table.add_row(name, *(_setting(run.settings[name]) for run in runs))
    return table


def _setting(value: Any) -> str:
    return "" if value is None else escape(value if isinstance(value, str) else as_toml(value))


def cache_document(folder: Path, limit: int, held: list[Entry]) -> dict[str, Any]:
    """What the cache holds, for JSON."""
    return {
        "folder": str(folder),
        "limit_bytes": limit,
        "bytes": sum(entry.bytes for entry in held),
        "entries": [asdict(entry) for entry in held],
    }


def show_cache(console: Console, folder: Path, limit: int, held: list[Entry]) -> None:
    """Shows what the cache holds, where, and how much it may."""
    table = Table("kind", number("size"), Column("last used", no_wrap=True), words("what"))
    for entry in held:
        used = datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M")
        about = entry.about if entry.kind in MADE else entry.key
        table.add_row(entry.kind, gigabytes(entry.bytes), used, escape(about))
    if held:
        console.print(table)
        console.print()
    total = gigabytes(sum(entry.bytes for entry in held)) if held else "nothing"
    made = sum(entry.bytes for entry in held if entry.kind in MADE)
    lines = {
        "folder": f"{escape(str(folder))} holds {total}",
        "limit": f"{gigabytes(made)} of {gigabytes(limit)} for packed pictures and activations; "
        "KERASCNN_CACHE_LIMIT_GB sets another",
        "next": "kerascnn cache clear --kind packed · kerascnn cache clear",
    }
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in lines.items()))


def gigabytes(count: int) -> str:
    return f"{count / GB:.1f} GB" if count >= GB else f"{1000 * count / GB:.1f} MB"


def show_examination(console: Console, findings: dict[str, Any]) -> None:
    """Shows what `doctor` found."""
    console.print(rows((f"[bold]{key}[/bold]", value) for key, value in _findings(findings)))


def _findings(findings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in findings.items():
        if key == "problems":
            continue
        if isinstance(value, dict):
            value = [f"{name} {version}" for name, version in value.items()]
        yield key, escape(", ".join(value) if isinstance(value, list) else str(value))
    for problem in findings["problems"]:
        yield "problem", f"[red]{escape(problem)}[/red]"
    if not findings["problems"]:
        yield "problems", "[green]none[/green]"
