"""The command that tells how many more images are needed, and which ones."""

from pathlib import Path

import click

from kerascnn.cli.options import console, document, experiment_of, experiment_options, file_argument


@click.command()
@file_argument
@click.option(
    "--accuracy",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="The accuracy you wish for.",
)
@click.option(
    "--from",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Images without labels, at any depth: list those to label next.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Number of images listed with --from.",
)
@experiment_options
def more(
    file: Path,
    accuracy: float,
    folder: Path | None,
    top: int,
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Tell how many more images FILE needs for an accuracy.

    Refits a linear head on 10% to 100% of the images, by features that the cache has after a run,
    and extends the learning curve, up to 4 times as many images as there are. No network is
    trained.
    """
    from kerascnn.cli.tables.more import show_more
    from kerascnn.cli.terminal import Terminal
    from kerascnn.studies.more.more import more_images

    experiment = experiment_of(file, overrides, backend)
    terminal = Terminal(console(stderr=True), file)
    result = more_images(experiment, accuracy, folder=folder, top=top, observer=terminal)
    if as_json:
        document(result.to_json())
    else:
        show_more(console(), result)
