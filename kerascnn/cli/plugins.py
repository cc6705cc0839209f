"""Commands on installed components."""

from pathlib import Path

import click

from kerascnn.cli.options import (
    BACKEND,
    KIND,
    allow_option,
    as_json,
    assignment,
    backend_option,
    console,
    document,
    kind_option,
)


@click.group(invoke_without_command=True)
@kind_option
@allow_option
@as_json
@click.pass_context
def plugins(context: click.Context, kind: str | None, as_json: bool) -> None:
    """List installed components and plugins that failed to load."""
    if context.invoked_subcommand is None:
        context.invoke(list_plugins, kind=kind, as_json=as_json)


@plugins.command("list")
@kind_option
@allow_option
@as_json
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List installed components and plugins that failed to load."""
    from kerascnn.cli.tables.plugins import plugins_document, show_plugins
    from kerascnn.components.registry import load_registry

    registry = load_registry()
    if as_json:
        document(plugins_document(registry, kind))
    else:
        show_plugins(console(), registry, kind)


@plugins.command("show")
@click.argument("name")
@kind_option
@allow_option
@as_json
def show_plugin(name: str, kind: str | None, as_json: bool) -> None:
    """Show the parameters of the component NAME and how to use it."""
    from kerascnn.cli.tables.plugins import component_document, show_component
    from kerascnn.components.registry import load_registry

    registered = load_registry().find(name, kind)
    if as_json:
        document(component_document(registered))
    else:
        show_component(console(), registered)


@plugins.command("new")
@click.argument("name")
@click.option("--kind", required=True, type=KIND, help="The kind of component.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to create it.  [default: the working directory]",
)
@allow_option
def new_plugin(name: str, kind: str, into: Path) -> None:
    """Create a working plugin package called NAME."""
    from kerascnn.components.kinds import KINDS
    from kerascnn.components.scaffold import component_name, write_plugin
    from kerascnn.runtime.commands import command, pip_install, python

    folder = write_plugin(name, kind, into)
    click.echo(f"wrote {folder}: one {kind}, its tests and an experiment to try it on", err=True)
    click.echo(pip_install("-e", f"{folder}[test]"))
    click.echo(python("-m", "pytest", str(folder)))
    click.echo(command("run", str(folder / "example.toml")))
    if not KINDS[kind].in_toml:
        click.echo(command(*KINDS[kind].command, component_name(name)))


@plugins.command("check")
@click.argument("name")
@kind_option
@click.option(
    "--set", "params", metavar="KEY=VALUE", multiple=True, help="A parameter of the component."
)
@click.option(
    "--backend", type=BACKEND, help="Keras backend.  [default: the one that `run` would use]"
)
@allow_option
@as_json
def check_plugin(
    name: str, kind: str | None, params: tuple[str, ...], backend: str | None, as_json: bool
) -> None:
    """Check the component NAME against the contract of its kind."""
    from kerascnn.cli.tables.plugins import outcomes_document, show_outcomes
    from kerascnn.components.kinds import KINDS
    from kerascnn.components.registry import load_registry
    from kerascnn.runtime.backend import select_backend, start_backend
    from kerascnn.testing import find_subject, run_checks

    registered = load_registry().find(name, kind)
    subject = find_subject(registered.kind, name, dict(map(assignment, params)))
    begin = start_backend if KINDS[registered.kind].needs_keras else select_backend
    backend = begin(backend or "auto")
    outcomes = run_checks(subject)
    if as_json:
        held = outcomes_document(registered, backend, list(outcomes))
        document(held)
        failed = held["failed"]
    else:
        failed = show_outcomes(console(), registered, backend, outcomes)
    if failed:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("what", metavar="ARCHITECTURE|RUN")
@click.option("--image-size", type=click.IntRange(min=1), help="Pixels.  [default: 224, or RUN's]")
@click.option("--classes", type=click.IntRange(min=2), help="[default: 1000, or RUN's]")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="For the memory estimate.",
)
@click.option(
    "--set", "params", metavar="KEY=VALUE", multiple=True, help="A parameter of the architecture."
)
@click.option(
    "--draw", type=click.Path(path_type=Path), help="Draw the network to FILE.png, .svg or .pdf."
)
@backend_option
@allow_option
@as_json
def describe(
    what: str,
    image_size: int | None,
    classes: int | None,
    batch_size: int,
    params: tuple[str, ...],
    draw: Path | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Show size, parameters and cost of each layer of a network.

    No weights are downloaded. An architecture of Keras is shown with the classifier of its paper;
    `--set top=pooled` shows the one that experiments use by default.
    """
    from kerascnn.cli.tables.description import show_description
    from kerascnn.results.describe.drawing import save_drawing
    from kerascnn.results.describe.network import describe_network

    description = describe_network(
        what,
        params=dict(map(assignment, params)),
        image_size=image_size,
        classes=classes,
        backend=backend or "auto",
    )
    if draw:
        save_drawing(description, draw, lambda note: click.echo(f"note: {note}", err=True))
    if as_json:
        document(description.to_json())
    else:
        show_description(console(), description, batch_size)
