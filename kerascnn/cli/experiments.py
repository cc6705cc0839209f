"""Commands that take an experiment."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from kerascnn.cli.options import (
    allow_option,
    console,
    devices_option,
    document,
    experiment_of,
    experiment_options,
    file_argument,
    sweep_of,
    upload_pending,
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--resume",
    metavar="RUN",
    help="Resume an unfinished run: its id, a unique prefix of one, or `last`.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Train every stage anew, also those that an earlier run has trained.",
)
@devices_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes to train in.  [default: those of the experiment's [cluster]]",
)
@click.option(
    "--observer",
    "observers",
    metavar="NAME",
    multiple=True,
    help="Add an observer to those of the experiment; may be repeated.",
)
@experiment_options
def run(
    file: Path | None,
    resume: str | None,
    fresh: bool,
    devices: Any,
    workers: int | None,
    observers: tuple[str, ...],
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Train, evaluate and track the experiment in FILE.

    The first stages are taken from an earlier run that trained the same, bit for bit. With
    --resume, FILE is optional; on another number of devices, a run resumes only with --devices or
    --workers.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.engine.result.run import EXPERIMENT
    from kerascnn.results.lookup import Kind, find_unfinished
    from kerascnn.run.experiment import run_experiment

    if resume:
        folder = find_unfinished(resume, Kind.RUN)
        file, resume = file or folder / EXPERIMENT, str(folder)
    if file is None:
        raise click.UsageError("Missing argument 'FILE' or option --resume RUN.")
    experiment = experiment_of(file, overrides, backend, observers)
    terminal = Terminal(console(stderr=True), file)
    upload_pending(terminal.warned)
    result = run_experiment(
        experiment, terminal, resume=resume, fresh=fresh, devices=devices, workers=workers
    )
    if as_json:
        document(result.to_json())


@click.command()
@file_argument
@click.option("--download", is_flag=True, help="Download missing images and weights.")
@click.option(
    "--labels",
    is_flag=True,
    help="Find wrong labels and odd images: a page, and a table to edit, in FILE-labels/.",
)
@experiment_options
def check(
    file: Path,
    download: bool,
    labels: bool,
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Check an experiment or sweep without training; show its stages.

    Does everything that `run` does before training, but downloads nothing without --download.
    With --labels it compares the images by what the network sees in them, without training it.
    """
    if labels:
        _check_labels(file, download, overrides, backend, as_json)
        return
    from dataclasses import asdict

    from kerascnn.cli.tables.experiments import show_check
    from kerascnn.cli.terminal import Terminal
    from kerascnn.engine.check import check_stages
    from kerascnn.engine.training.devices.devices import require_equal_parts
    from kerascnn.studies.sweep.plan.reach import too_few

    planned = sweep_of(file, overrides, backend)
    experiment = planned.experiment if planned else experiment_of(file, overrides, backend)
    terminal = Terminal(console(stderr=True))
    prepared = _prepared(experiment, file, download, terminal)
    if cluster := experiment.settings.cluster:
        for plan in prepared.plans:
            devices = prepared.devices * (cluster.workers or 1)
            require_equal_parts(plan, devices)
    stages = list(check_stages(prepared))
    for stage in stages:
        if stage.shortage:
            terminal.warned(f"stage {stage.name}: {stage.shortage}")
    if planned and (few := too_few(planned, len(prepared.data.validation))):
        terminal.warned(few)
    if as_json:
        document(
            {
                "name": experiment.name,
                "devices": prepared.devices,
                "sweep": planned and {"trials": planned.trials, "space": planned.tables},
                "stages": [asdict(stage) for stage in stages],
                "findings": prepared.examination.findings.to_json(),
            }
        )
    else:
        show_check(console(), prepared, stages, planned)


def _check_labels(
    file: Path, download: bool, overrides: tuple[str, ...], backend: str | None, as_json: bool
) -> None:
    from kerascnn.cli.tables.labels import show_labels
    from kerascnn.cli.terminal import Terminal
    from kerascnn.studies.labels.check import check_labels

    experiment = experiment_of(file, overrides, backend)
    folder, terminal = file.with_name(f"{file.stem}-labels"), Terminal(console(stderr=True))
    with _downloading(file, download):
        found = check_labels(experiment, folder, terminal)
    if as_json:
        document(found.to_json())
    else:
        show_labels(console(), found, file)


def _prepared(experiment: Any, file: Path, download: bool, observer: Any) -> Any:
    """The experiment before its first stage; says how to download what is not at hand."""
    from kerascnn.engine.prepare import prepare_experiment

    with _downloading(file, download):
        return prepare_experiment(experiment, observer)


@contextmanager
def _downloading(file: Path, download: bool) -> Iterator[None]:
    """Allows downloads or not; says how to download what is not at hand."""
    from kerascnn.engine.data.sources.download import NotAtHandError, without_downloads
    from kerascnn.errors import InputError
    from kerascnn.runtime.commands import command

    try:
        with nullcontext() if download else without_downloads():
            yield
    except NotAtHandError as error:
        again = command("check", str(file), "--download")
        raise InputError(
            f"{error} `{again}` downloads it now; `run` does so when needed."
        ) from error


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--recipe", metavar="NAME", help="Write this recipe instead; `list` lists them.")
@click.option("--architecture", metavar="NAME", help="[default: efficientnet_lite0]")
@click.option("--follow-links", is_flag=True, help="Follow links that lead out of FOLDER.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="A CSV file with the images in FOLDER and their labels.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing experiment.")
@allow_option
def init(
    folder: Path | None,
    recipe: str | None,
    architecture: str | None,
    follow_links: bool,
    labels: Path | None,
    force: bool,
) -> None:
    """Write an experiment for a FOLDER of images, next to it.

    It may also be a folder of tar shards or of Parquet files, or a zip archive.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.run.init import recipes, write_experiment
    from kerascnn.runtime.commands import command

    if recipe == "list":
        click.echo("\n".join(recipes()))
        return
    written, summary = write_experiment(
        folder,
        recipe,
        architecture,
        force=force,
        follow_links=follow_links,
        labels=labels,
        observer=Terminal(console(stderr=True)),
    )
    click.echo(f"wrote {written}: {summary}", err=True)
    click.echo(command("run", str(written)))


@click.command()
@click.option("--sweep", is_flag=True, help="Print that of the file of a sweep instead.")
@allow_option
def schema(sweep: bool) -> None:
    """Print the JSON Schema of an experiment, for use in an editor.

    It includes the installed components and their parameters.
    """
    from kerascnn.components.registry import load_registry
    from kerascnn.experiment.schema import make_schema
    from kerascnn.studies.sweep.plan.schema import make_sweep_schema

    document(make_sweep_schema() if sweep else make_schema(load_registry()))
