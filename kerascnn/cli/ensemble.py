"""Commands that make one classifier of others."""

from pathlib import Path
from typing import Any

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    assignment,
    backend_option,
    console,
    document,
    experiment_of,
    experiment_options,
    run_argument,
    upload_pending,
)
from kerascnn.errors import InputError


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--name", help="Name of the experiment.  [default: that of the first RUN]")
@backend_option
@allow_option
@as_json
def ensemble(runs: tuple[str, ...], name: str | None, backend: str | None, as_json: bool) -> None:
    """Make one classifier of several runs, which averages them.

    RUNS are two or more ids, unique prefixes of them, or `last`, of the same classes; they may
    differ in network, image size and backend. The ensemble is a run like any other, and needs them
    no longer.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.studies.ensemble.ensemble import ensemble_runs

    terminal = Terminal(console(stderr=True))
    upload_pending(terminal.warned)
    result = ensemble_runs(runs, terminal, name=name or "", backend=backend or "auto")
    if as_json:
        document(result.to_json())


@click.command()
@run_argument
@click.option(
    "--into",
    metavar="ARCHITECTURE|FILE",
    required=True,
    help="The student: an architecture, or an experiment with settings of its own.",
)
@experiment_options
def distil(
    run: str, into: str, overrides: tuple[str, ...], backend: str | None, as_json: bool
) -> None:
    """Teach a single network what RUN knows, such as an ensemble.

    The student learns the probabilities that RUN gives for the training images and their augmented
    views. An architecture is trained on the images of RUN by the recipe that `init` writes. The
    student is a run like any other.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.studies.distil.distil import distil_run

    terminal = Terminal(console(stderr=True))
    upload_pending(terminal.warned)
    result = distil_run(run, _student(run, into, overrides, backend), terminal)
    if as_json:
        document(result.to_json())


def _student(run: str, into: str, overrides: tuple[str, ...], backend: str | None) -> Any:
    """The experiment of the student, with the values of the command line."""
    from kerascnn.results.find import find_run
    from kerascnn.studies.distil.distil import student_of

    if Path(into).suffix == ".toml":
        return experiment_of(Path(into), overrides, backend)
    student = student_of(find_run(run), into)
    values = dict(map(assignment, overrides))
    if backend:
        values["training.backend"] = backend
    try:
        return student.with_overrides(values)
    except InputError as error:
        raise InputError(f"--set {error}") from error
