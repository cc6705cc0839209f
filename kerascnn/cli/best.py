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
    experiment_of,
)

MINUTES = 3.0
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
@click.option("--networks", metavar="NAME,…", help="Try these.  [default: all at hand]")
@click.option("--all-images", is_flag=True, help="In the end also train on the test images.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="A CSV file with the images in FOLDER and their labels.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of all training.  [default: 0]")
@click.option("--resume", metavar="STUDY", help="Go on with a study: its id, a prefix, or `last`.")
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
    """Find the best classifier of the images in FOLDER, or of those of the experiment in FILE.

    Networks are tried from quick to good and judged on the validation images. The best is run in
    full, trained on these too, and judged once on the test images. Ctrl-C ends early with the best
    so far.
    """
    from kerascnn.cli.best_terminal import BestTerminal
    from kerascnn.cli.tables.best import show_best, show_tried
    from kerascnn.results.lookup import Kind, find
    from kerascnn.studies.best.result import BestResult
    from kerascnn.studies.best.story import find_best_classifier, resume_best

    terminal = BestTerminal(console(stderr=True))
    if (resume or show) and (source or any(options.values())):
        raise click.UsageError(_ALONE)
    if show:
        done = BestResult.read(find(show, Kind.BEST))
        show_tried(console(), done)
    elif resume:
        done = resume_best(resume, minutes, terminal)
    elif source:
        done = find_best_classifier(_asked(source, **options), minutes, terminal)
    else:
        raise click.UsageError("Missing argument 'FOLDER|FILE' or option --resume STUDY.")
    if as_json:
        document(done.to_json())
    else:
        show_best(console(), done)


def _asked(
    source: Path,
    networks: str | None,
    all_images: bool,
    labels: Path | None,
    seed: int | None,
    backend: str | None,
) -> Any:
    from kerascnn.components.registry import load_registry
    from kerascnn.studies.best.asked import Asked
    from kerascnn.studies.best.folder import folder_experiment
    from kerascnn.studies.best.networks import networks_to_try

    if source.is_file():
        if labels:
            raise click.UsageError("--labels belongs to a FOLDER; FILE has its own dataset.")
        experiment = experiment_of(source, (), backend)
    else:
        experiment = folder_experiment(source, load_registry(), labels=labels)
    changes = {"training.backend": backend, "seed": seed}
    experiment = experiment.with_overrides(
        {key: value for key, value in changes.items() if value is not None}
    )
    return Asked(experiment, all_images, networks_to_try(networks, experiment.registry))
