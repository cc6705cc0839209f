"""The command that finds the best classifier within a time."""

from pathlib import Path
from typing import Any

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    backend_option,
    console,
    document,
)

MINUTES = 3.0  # as in `best_classifier`, which is imported when it is called
_ALONE = (
    "--resume and --show take everything from the study; only --minutes may be given with --resume."
)


@click.command()
@click.argument("source", metavar="FOLDER|FILE", type=click.Path(path_type=Path), required=False)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=MINUTES,
    show_default=True,
    help="The time to use, from start to end.",
)
@click.option(
    "--networks",
    metavar="NAME,…",
    callback=lambda _context, _option, names: names and names.split(","),
    help="Try these.  [default: those with weights at hand]",
)
@click.option("--all-images", is_flag=True, help="In the end also train on the test images.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="A CSV file with the images in FOLDER and their labels.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of all training.  [default: 0]")
@click.option("--resume", metavar="STUDY", help="Continue a study: its id, a prefix, or `last`.")
@click.option("--show", metavar="STUDY", help="Show what a study has tried, and end.")
@backend_option
@allow_option
@as_json
def best(
    source: Path | None,
    minutes: float,
    resume: str | None,
    show: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the best classifier of the images of FOLDER or FILE.

    Networks are tried from quick to good and judged on the validation images. The best is run in
    full, trained on these too, and judged once on the test images. Ctrl-C ends early with the best
    so far.
    """
    from kerascnn.cli.best_terminal import BestTerminal
    from kerascnn.cli.tables.best import show_best, show_tried
    from kerascnn.results.lookup import Kind, find
    from kerascnn.studies.best.best import best_classifier
    from kerascnn.studies.best.result import BestResult
    from kerascnn.studies.best.story import resume_best

    terminal = BestTerminal(console(stderr=True))
    if (resume or show) and (source or any(options.values())):
        raise click.UsageError(_ALONE)
    if show:
        done = BestResult.read(find(show, Kind.BEST))
        show_tried(console(), done)
    elif resume:
        done = resume_best(resume, minutes, terminal)
    elif source:
        done = best_classifier(source, minutes, terminal, **options)
    else:
        raise click.UsageError("Missing argument 'FOLDER|FILE' or option --resume STUDY.")
    if as_json:
        document(done.to_json())
    else:
        show_best(console(), done)
