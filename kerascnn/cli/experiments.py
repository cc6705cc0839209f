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
    observers: tuple[str, ...],
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Train, evaluate and track the experiment in FILE.

    The first stages are taken from an earlier run that trained the same, bit for bit. With
    --resume, FILE is optional; on another number of devices, a run resumes only with --devices.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.engine.result import EXPERIMENT
    from kerascnn.results.lookup import Kind, find_unfinished
    from kerascnn.run.runner import run_experiment

    if resume:
        folder = find_unfinished(resume, Kind.RUN)
        file, resume = file or folder / EXPERIMENT, str(folder)
    if file is None:
        raise click.UsageError("Missing argument 'FILE' or option --resume RUN.")
    experiment = experiment_of(file, overrides, backend, observers)
    terminal = Terminal(console(stderr=True), file)
    upload_pending(terminal.warned)
    result = run_experiment(experiment, terminal, resume=resume, fresh=fresh, devices=devices)
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
    from kerascnn.studies.sweep.plan.reach import too_few

    planned = sweep_of(file, overrides, backend)
    experiment = planned.experiment if planned else experiment_of(file, overrides, backend)
    terminal = Terminal(console(stderr=True))
    prepared = _prepared(experiment, file, download, terminal)
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
    from kerascnn.engine.data.download import NotAtHandError, without_downloads
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


@click.command("lr-find")
@file_argument
@click.option(
    "--stage",
    metavar="NAME",
    help="The stage to test; earlier ones are trained first.  [default: the first]",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write the plot to.  [default: lr-find-STAGE.png]",
)
@experiment_options
def lr_find(
    file: Path,
    stage: str | None,
    plot: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Find the learning rates at which a stage of FILE can train.

    The stage takes a hundred steps at rising rates; only the plot is kept. With fewer than about
    1,000 images (at a batch size of 32) no rate is suggested.
    """
    from kerascnn.cli.tables.experiments import show_range_test
    from kerascnn.cli.terminal import Terminal
    from kerascnn.engine.observer import optional
    from kerascnn.results.canvas import save
    from kerascnn.runtime.commands import command
    from kerascnn.studies.lr_find.find import find_learning_rate
    from kerascnn.studies.lr_find.range_test import rates_figure

    experiment = experiment_of(file, overrides, backend)
    terminal = Terminal(console(stderr=True), file)
    test = find_learning_rate(experiment, stage, terminal)
    plot = plot or Path(f"lr-find-{test.stage}.png")
    with optional(f"the plot {plot}", terminal):
        save(rates_figure(test), plot, terminal.warned)
    if as_json:
        document({**test.to_json(), "plot": str(plot)})
    else:
        settings = [*overrides, test.setting or ""]
        words = [word for setting in settings for word in ("--set", setting)]
        show_range_test(console(), test, plot, command("run", str(file), *words))


@click.command()
@file_argument
@click.option(
    "--architectures",
    metavar="NAME[:WEIGHTS],…",
    help="`resnet50:none` has random weights; `all-local` takes all with local weights.",
)
@click.option(
    "--blocks",
    is_flag=True,
    help="Probe the network of FILE at the end of every block: where it can be cut.",
)
@click.option(
    "--promote", metavar="K", type=click.IntRange(min=1), help="Train the best K in full."
)
@experiment_options
def probe(
    file: Path,
    architectures: str | None,
    blocks: bool,
    promote: int | None,
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Rank architectures, or the blocks of one, by linear probes.

    Each network runs once over the training and validation images, or not at all if the cache has
    its features; a linear classifier on them is judged out of fold. Shows the cost of each network,
    too.
    """
    if bool(architectures) == blocks:
        raise click.UsageError("Give either --architectures NAME,… or --blocks.")
    if blocks and promote:
        raise click.UsageError("--promote takes --architectures.")
    experiment = experiment_of(file, overrides, backend)
    if blocks:
        _probe_blocks(experiment, file, as_json)
    else:
        _probe_networks(experiment, file, architectures or "", promote, as_json)


def _probe_networks(
    experiment: Any, file: Path, architectures: str, promote: int | None, as_json: bool
) -> None:
    from kerascnn.cli.tables.probe import probe_document, show_probe, show_promoted
    from kerascnn.cli.terminal import Terminal
    from kerascnn.studies.probe.probe import probe_architectures
    from kerascnn.studies.probe.probe import promote as promote_best

    terminal = Terminal(console(stderr=True), file)
    probed = probe_architectures(experiment, architectures.split(","), terminal)
    if not as_json:
        show_probe(console(), probed)
    results = promote_best(experiment, probed, promote, terminal) if promote else []
    if as_json:
        document(probe_document(probed, results))
    elif results:
        show_promoted(console(), probed, results)


def _probe_blocks(experiment: Any, file: Path, as_json: bool) -> None:
    from kerascnn.cli.tables.probe import show_blocks
    from kerascnn.cli.terminal import Terminal
    from kerascnn.studies.probe.blocks import probe_blocks

    probed = probe_blocks(experiment, Terminal(console(stderr=True), file))
    if as_json:
        document(probed.to_json())
    else:
        show_blocks(console(), probed)


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
