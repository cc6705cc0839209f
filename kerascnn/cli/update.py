"""The command that updates a run."""

from dataclasses import asdict
from pathlib import Path

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    backend_option,
    console,
    document,
    run_argument,
    set_option,
    upload_pending,
    values_of,
)
from kerascnn.errors import RunError


@click.command()
@run_argument
@click.option(
    "--data",
    "folders",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder with one folder per class: more images, and known ones under their right class; "
    "may be repeated.",
)
@click.option(
    "--start",
    type=click.Choice(("auto", "warm", "anew", "both")),
    default="auto",
    show_default=True,
    help="From the weights of RUN, from the beginning, or both: validation images decide.",
)
@click.option(
    "--register",
    metavar="NAME[@ALIAS]",
    help="Register the update in MLflow and move the alias to it, unless it is worse than RUN.",
)
@set_option
@backend_option
@allow_option
@as_json
def update(
    run: str,
    folders: tuple[Path, ...],
    start: str,
    register: str | None,
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Update RUN: new images, a new class, corrected labels.

    Reads the dataset of RUN as it is today, and the images in FOLDER. An image that RUN knows keeps
    its split; new ones are divided by the same shares. The update is a run like any other, and says
    whether a class got worse on the test images of RUN.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.studies.update.update import update_run
    from kerascnn.studies.update.worse import not_registered, worse
    from kerascnn.tracking.model_registry import register_run

    name, _, alias = (register or "").partition("@")
    if register is not None and not name:
        raise click.UsageError(f"--register {register}: expected NAME or NAME@ALIAS.")
    terminal = Terminal(console(stderr=True))
    upload_pending(terminal.warned)
    values = values_of(overrides, backend)
    result = update_run(run, folders, terminal, start=start, overrides=values)
    refused = worse(result) if register else ""
    registered = (
        register_run(result.run_id, name, alias or None) if register and not refused else None
    )
    if as_json:
        document({**result.to_json(), "registered": registered and asdict(registered)})
    elif registered:
        click.echo(f"{registered.name} version {registered.version}: run {result.run_id[:8]}")
    if refused:
        raise RunError(not_registered(result, refused, name, alias))
