"""Accuracy of a recipe over folds: every image is tested once, by a network that never saw it.

`prefix_by_first` is the time of the frozen prefix in all folds by that in the first: they share a
cache, in which each image and view is computed once. With --against, the recipe with another
setting has the same folds, and both are compared on all images. `power` says how often McNemar's
test finds a difference of 0.02 between two recipes that disagree as often as these: on all images
and on one test split, as many as a fold has. It resamples the images, with weights that make their
difference 0.02.
"""

import csv
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import KERASCNN, document, report
from scipy.stats import binom

DIFFERENCE = 0.02
RESAMPLES = 2000
SURE = 0.05


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), required=True)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=2))
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
@click.option("--against", metavar="KEY=VALUE", help="Compare with this setting instead.")
def main(
    data: Path, experiment: str, folds: int, settings: tuple[str, ...], against: str | None
) -> None:
    """Say the accuracy over all folds, with its interval, and each fold's seconds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        own = (f"dataset.path={data}", *settings)
        words = [word for setting in own for word in ("--set", setting)]
        study = [*KERASCNN, "folds", experiment, "-k", folds, "--json", *words]
        done = document(study, folder, folder / "cache")
        figures = {"settings": settings, **figures_of(done)}
        if against:
            other = document([*study, "--set", against], folder, folder / "cache")
            both = [done["run_id"], other["run_id"]]
            compared = document([*KERASCNN, "compare", *both, "--json"], folder, folder / "cache")
            figures |= {
                "against": {"setting": against, **figures_of(other)},
                "verdict": compared["pairs"][0]["verdict"],
                "power": powers(done, other),
            }
    report("folds", figures)


def figures_of(done: dict[str, Any]) -> dict[str, Any]:
    """What is reported of a study, of its JSON document."""
    folds = done["folds"]
    prefix = [fold["prefix_seconds"] for fold in folds]
    return {
        "accuracy": done["accuracy"],
        "interval": done["interval"],
        "total": done["images"],
        "folds": [fold["accuracy"] for fold in folds],
        "rows_made": [fold["rows_made"] for fold in folds],
        "prefix_seconds": prefix,
        "prefix_by_first": sum(prefix) / prefix[0] if prefix[0] else None,
        "seconds": [fold["seconds"] for fold in folds],
        "process_seconds": done["process_seconds"],
    }


def powers(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The power on all images and on one fold of them; of two studies by their documents."""
    right, wrong = (correct(Path(study["predictions"])) for study in (first, second))
    apart = float(np.mean([right[image] != wrong[image] for image in right]))
    sizes = (len(right), first["folds"][0]["images"])
    return {
        "apart": apart,
        **{f"of {images}": power(apart, DIFFERENCE, images) for images in sizes},
    }


def correct(table: Path) -> dict[str, bool]:
    """Whether each image, by its content, was classified correctly."""
    with table.open(newline="", encoding="utf-8") as file:
        return {row["sha256"]: row["label"] == row["predicted"] for row in csv.DictReader(file)}


def power(apart: float, difference: float, images: int) -> float:
    """How often McNemar's test finds a difference.

    Args:
        apart: Share of the images on which one of two networks alone is right.
        difference: In accuracy.
        images: Number that is drawn in each of the resamples.
    """
    apart = max(apart, difference)
    shares = [(apart + difference) / 2, (apart - difference) / 2, 1 - apart]
    drawn = np.random.default_rng(0).multinomial(images, shares, RESAMPLES)
    first, second = drawn[:, 0], drawn[:, 1]
    p_values = 2 * binom.cdf(np.minimum(first, second), first + second, 0.5)  # `mcnemar` of each
    return float(((p_values < SURE) & (first > second)).mean())


if __name__ == "__main__":
    main()
