"""Commands that begin with an experiment."""

from pathlib import Path

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    backend_option,
    console,
    document,
    experiment_of,
    file_argument,
    set_option,
)


@click.command()
@file_argument
@set_option
@backend_option
@allow_option
@as_json
def run(file: Path, overrides: tuple[str, ...], backend: str | None, as_json: bool) -> None:
    """Train, evaluate and track the experiment in FILE."""
    from kerascnn.journal import send_pending
    from kerascnn.run import run_experiment
    from kerascnn.runs import runs_folder
    from kerascnn.terminal import Terminal

    experiment = experiment_of(file, overrides, backend)
    terminal = Terminal(console(stderr=True))
    for sent in send_pending(runs_folder()):
        terminal.warned(sent)
    result = run_experiment(experiment, terminal)
    if as_json:
        document(result.to_json())


@click.command()
@file_argument
@set_option
@backend_option
@allow_option
@as_json
def check(file: Path, overrides: tuple[str, ...], backend: str | None, as_json: bool) -> None:
    """Do all that `run` does before training, and show the stages."""
    from dataclasses import asdict

    from kerascnn.plugins import load_registry
    from kerascnn.prepare import check_stages, prepare
    from kerascnn.tables import show_check
    from kerascnn.terminal import Terminal

    experiment = experiment_of(file, overrides, backend)
    terminal = Terminal(console(stderr=True))
    prepared = prepare(experiment, load_registry(), terminal)
    stages = list(check_stages(prepared))
    if as_json:
        document({"name": experiment.name, "stages": [asdict(stage) for stage in stages]})
    else:
        show_check(console(), prepared, stages)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--recipe", metavar="NAME", help="Write this recipe instead; `list` names them.")
@click.option("--architecture", metavar="NAME", help="Default efficientnet_lite0.")
@click.option("--force", is_flag=True, help="Overwrite the experiment if it exists.")
@allow_option
def init(folder: Path | None, recipe: str | None, architecture: str | None, force: bool) -> None:
    """Write an experiment for a FOLDER of pictures, beside it."""
    import shlex

    from kerascnn import scaffold

    if recipe == "list":
        click.echo("\n".join(scaffold.recipes()))
        return
    written, summary = scaffold.write_experiment(folder, recipe, architecture, force)
    click.echo(f"wrote {written}: {summary}", err=True)
    click.echo(f"kerascnn run {shlex.quote(str(written))}")


@click.command()
@allow_option
def schema() -> None:
    """Print the JSON Schema of an experiment, for an editor.

    It knows the installed components and their parameters.
    """
    from kerascnn.plugins import load_registry
    from kerascnn.schema import make_schema

    document(make_schema(load_registry()))
