"""Commands that look at an experiment's network before it is trained: probes and range tests."""

from pathlib import Path
from typing import Any

import click

from kerascnn.cli.options import (
    console,
    document,
    experiment_of,
    experiment_options,
    file_argument,
)


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
