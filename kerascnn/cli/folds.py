"""The command that trains on every fold."""

from pathlib import Path

import click

from kerascnn.cli.options import (
    console,
    document,
    experiment_of,
    experiment_options,
    upload_pending,
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("-k", "k", type=click.IntRange(min=2), default=5, show_default=True, help="Folds.")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often the images are divided, each time into other folds.",
)
@click.option(
    "--resume",
    metavar="STUDY",
    help="Resume an unfinished study: its id, a unique prefix of one, or `last`.",
)
@experiment_options
def folds(
    file: Path | None,
    k: int,
    repeats: int,
    resume: str | None,
    overrides: tuple[str, ...],
    backend: str | None,
    as_json: bool,
) -> None:
    """Train FILE on every fold, so that every image is tested once.

    The folds follow from the content of the images, so that two experiments on the same images have
    the same ones, and `compare` tests them on all images. --resume takes everything else from the
    study.
    """
    from kerascnn.cli.tables.folds import fold_line, show_folds
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.lookup import Kind, find_unfinished
    from kerascnn.studies.folds.asked import Asked
    from kerascnn.studies.folds.study import cross_validate

    terminal = Terminal(console(stderr=True))  # `check` has other notes
    if resume:
        if file or overrides or backend:
            raise click.UsageError("--resume takes the experiment from the study; leave out FILE.")
        asked = Asked.read(find_unfinished(resume, Kind.FOLDS))
        experiment, k, repeats = asked.experiment, asked.k, asked.repeats
    elif file:
        experiment = experiment_of(file, overrides, backend)
    else:
        raise click.UsageError("Missing argument 'FILE' or option --resume STUDY.")
    upload_pending(terminal.warned)
    result = cross_validate(
        experiment,
        k,
        repeats,
        terminal,
        resume=resume,
        on_fold=lambda fold: terminal.told(fold_line(fold, k, repeats)),
    )
    if as_json:
        document(result.to_json())
    else:
        show_folds(console(), result, file, overrides)
