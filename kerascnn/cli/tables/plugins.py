"""What the commands on plugins show; they need nothing of what a run does, nor wait for it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from kerascnn.cli.tables.layout import line, rows
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import GROUP
from kerascnn.components.kinds import KINDS
from kerascnn.components.parameters import Parameter, parameters, snippet
from kerascnn.components.registry import Registry
from kerascnn.experiment.training import Training
from kerascnn.hookspecs import Weights
from kerascnn.runtime.commands import command
from kerascnn.runtime.toml import as_toml

if TYPE_CHECKING:
    from kerascnn.testing import Outcome


def plugins_document(registry: Registry, kind: str | None) -> dict[str, Any]:
    """The components and the faults, for JSON."""
    return {
        "components": [
            _component_json(registered)
            for registered in registry.unique
            if kind in (None, registered.kind)
        ],
        "faults": [{**asdict(fault.origin), "reason": fault.reason} for fault in registry.faults],
        "slow": [{**asdict(slow.origin), "seconds": slow.seconds} for slow in registry.slow],
        "not_allowed": [asdict(origin) for origin in registry.not_allowed],
        "conflicts": registry.conflicts(),
    }


def _component_json(registered: RegisteredComponent) -> dict[str, Any]:
    return {
        "kind": registered.kind,
        "name": registered.component.name,
        "summary": registered.component.summary,
        "distribution": registered.origin.distribution,
        "version": registered.origin.version,
    }


def show_plugins(console: Console, registry: Registry, kind: str | None) -> None:
    """Prints the components by kind, then the plugins that failed to load."""
    for shown in [kind] if kind else KINDS:
        console.print(f"[bold]{KINDS[shown].plural}[/bold]")
        console.print(rows(map(_listed, registry.of_kind(shown)), indent=2))
    if registry.faults:
        console.print("[bold red]not loaded[/bold red]")
        faults = ((str(fault.origin), escape(fault.reason)) for fault in registry.faults)
        console.print(rows(faults, indent=2))
    if registry.slow:
        console.print("[bold yellow]slow to import[/bold yellow]")
        console.print(rows(((str(slow.origin), str(slow)) for slow in registry.slow), indent=2))
    if registry.not_allowed:
        console.print("[bold]not allowed[/bold] (not loaded)")
        names = dict.fromkeys(escape(str(origin)) for origin in registry.not_allowed)
        console.print(rows(((name, "") for name in names), indent=2))
    for conflict in registry.conflicts():
        console.print(f"[bold red]conflict[/bold red]: {escape(conflict)}")


def component_document(registered: RegisteredComponent) -> dict[str, Any]:
    """A component with its parameters, for JSON."""
    return {
        **_component_json(registered),
        "parameters": [asdict(parameter) for parameter in parameters(registered)],
        "weights": asdict(weights)
        if (weights := registered.weights(Training().image_size))
        else None,
        "snippet": snippet(registered),
    }


def show_component(console: Console, registered: RegisteredComponent) -> None:
    """Prints where a component comes from, its parameters, and the TOML or command that uses it."""
    component = registered.component
    console.print(f"[bold]{component.name}[/bold]   {registered.kind} of {registered.origin}")
    if component.summary:
        console.print(escape(component.summary))
    if weights := registered.weights(Training().image_size):
        console.print(rows([("pretrained", escape(_weights_line(weights)))]))
    console.print()
    shown = [(parameter.name, _described(parameter)) for parameter in parameters(registered)]
    console.print(rows(shown or [("no parameters", "")]))
    console.print()
    console.print(escape(snippet(registered)), soft_wrap=True)


def _weights_line(weights: Weights) -> str:
    """Origin, training images, licence and whether they are here, with " · " between them."""
    size = f" at {weights.image_size} pixels" if weights.image_size else ""
    parts = [
        weights.origin,
        f"trained on {weights.trained_on}{size}" if weights.trained_on else size.strip(),
        f"licence {weights.licence or 'not stated'}",
        "on this machine" if weights.at_hand else "not on this machine",
    ]
    return " · ".join(filter(None, parts))


def _described(parameter: Parameter) -> str:
    """Type, range and default on one line, the description on the next."""
    default = "not set" if parameter.default is None else as_toml(parameter.default)
    said = "required" if parameter.required else f"default {default}"
    line = escape(" · ".join(filter(None, (parameter.type, parameter.range, said))))
    about = f"\n[dim]{escape(parameter.description)}[/dim]" if parameter.description else ""
    return line + about


def _listed(registered: RegisteredComponent) -> tuple[str, str]:
    """A component's row, with its package unless it is a built-in."""
    origin = registered.origin
    foreign = f" [dim]({origin})[/dim]" if origin.distribution != GROUP else ""
    return registered.component.name, (escape(registered.component.summary) + foreign).lstrip()


_MARKS = {"passed": "[green]✓[/green]", "failed": "[red]✗[/red]", "skipped": "[dim]–[/dim]"}


def outcomes_document(
    registered: RegisteredComponent, backend: str, outcomes: "Sequence[Outcome]"
) -> dict[str, Any]:
    """The outcomes of a component's checks, for JSON."""
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
    registered: RegisteredComponent,
    backend: str,
    outcomes: "Iterable[Outcome]",
) -> int:
    """Prints each check as it ends, then the failures in full; returns their number."""
    from kerascnn.testing import checks_of

    name = registered.component.name
    console.print(f"[bold]{name}[/bold]   {registered.kind} of {registered.origin} · {backend}")
    width = max(len(check.name) for check in checks_of(registered.kind))
    ended: list[Outcome] = []
    causes: dict[str, Outcome] = {}  # each failure in full only once
    for outcome in outcomes:
        said = escape(outcome.detail)
        if outcome.status == "failed":
            first = causes.setdefault(outcome.detail, outcome)
            said = "see below" if first is outcome else f"same as {first.check.name}"
        dim = f"[dim]{said}[/dim]" if outcome.status == "skipped" else said
        row = f"{_MARKS[outcome.status]} {outcome.check.name:<{width}}   {dim}"
        console.print(row.rstrip(), soft_wrap=True)
        ended.append(outcome)
    for outcome in causes.values():
        console.print(f"\n[red]✗[/red] {escape(str(outcome))}", soft_wrap=True)
    counts = _counts(ended)
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    console.print(f"\n{said} in {sum(outcome.seconds for outcome in ended):.1f} s")
    if not causes:
        following = command("plugins", "show", name, "--kind", registered.kind)
        console.print(line("next", following), soft_wrap=True)
    return counts["failed"]


def _counts(outcomes: "Iterable[Outcome]") -> dict[str, int]:
    statuses: list[str] = [outcome.status for outcome in outcomes]
    return {status: statuses.count(status) for status in _MARKS}
