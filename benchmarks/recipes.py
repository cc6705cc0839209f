"""Recipes on whole folders, beside a floor: features and a logistic regression on the same folds.

A folder is divided into folds by content, several times. Every way to train the experiment tests
each image once in every repeat; so does a logistic regression on the features of its network at
`--floor-size`, fitted on all images that the fold does not test: more than a run trains on.
Differences are those of each image's mean over the repeats, with paired 95% intervals.
"""

import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import report

from kerascnn.cli.options import assignment
from kerascnn.engine.metrics.significance import paired_interval
from kerascnn.experiment.bound import BoundExperiment

RECIPE = "recipe"
BATCH = 32


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, resolve_path=True, path_type=Path),
    required=True,
    multiple=True,
    help="A folder of class folders; may be repeated.",
)
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), required=True)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=3))
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--floor-size", default=224, show_default=True, help="Pixels, of the features.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
@click.option(
    "--against", metavar="KEY=VALUE;…", multiple=True, help="Also with these settings, together."
)
def main(
    data: tuple[Path, ...],
    experiment: str,
    folds: int,
    repeats: int,
    floor_size: int,
    settings: tuple[str, ...],
    against: tuple[str, ...],
) -> None:
    """Say the accuracy of each way on each folder, and its differences from recipe and floor."""
    from kerascnn import load_experiment

    def loaded(folder: Path, words: list[str]) -> BoundExperiment:
        place = f"dataset.path={folder}"
        return load_experiment(experiment, dict(map(assignment, [place, *settings, *words])))

    figures = {}
    with tempfile.TemporaryDirectory() as place, chdir(place):
        for folder in data:
            floor = of_features(
                loaded(folder, [f"training.image_size={floor_size}"]), folds, repeats
            )
            ways = {}
            for way in (RECIPE, *against):
                words = [] if way == RECIPE else way.split(";")
                start = time.process_time()
                right = of_folds(loaded(folder, words), folds, repeats)
                ways[way] = {"right": right, "cpu_seconds": time.process_time() - start}
            figures[folder.name] = {
                "images": len(floor),
                "floor": float(floor.mean()),
                "ways": compared(ways, floor),
            }
    report("recipes", {"settings": settings, "repeats": repeats, "folders": figures})


def of_folds(experiment: BoundExperiment, folds: int, repeats: int) -> np.ndarray:
    """How often each image is recognised over the repeats, 0 to 1: float [N]."""
    from kerascnn import Observer, cross_validate
    from kerascnn.results.predictions import read_predictions

    done = cross_validate(experiment, folds, repeats, Observer())
    said = read_predictions(done.predictions, done.class_names)
    return (said.predicted == said.labels).reshape(repeats, -1).mean(0)


def of_features(experiment: BoundExperiment, folds: int, repeats: int) -> np.ndarray:
    """The same of a logistic regression on the network's features, on the same folds."""
    from kerascnn import Observer
    from kerascnn.engine.data.decoding.preparation import Centred
    from kerascnn.engine.data.splits.folds import draw_folds
    from kerascnn.engine.load import load_pooled
    from kerascnn.engine.network.boundary import cut
    from kerascnn.engine.network.build import build_network
    from kerascnn.engine.network.freezing import set_trainable
    from kerascnn.engine.network.inference import Forward
    from kerascnn.engine.network.unfreeze import select
    from kerascnn.runtime.backend import start_backend
    from kerascnn.studies.features.classifier import out_of_fold

    start_backend(experiment.training.backend)
    pooled, size = load_pooled(experiment, Observer()), experiment.training.image_size
    classes = len(pooled.class_names)
    built = build_network(experiment.architecture, image_size=size, num_classes=classes)
    set_trainable(built.model, select(built, "head", 0).layers, "frozen")
    features = Forward(cut(built.model).prefix)(Centred(pooled.images.images, size), BATCH)
    features, labels = features.reshape(len(features), -1), np.asarray(pooled.images.labels)
    right = []
    for number in range(repeats):
        drawn = draw_folds(pooled, folds, number)
        said = out_of_fold(features, labels, drawn.fold, classes)
        right.append(said.argmax(1) == labels)
    return np.mean(right, axis=0)


def compared(ways: dict[str, dict[str, Any]], floor: np.ndarray) -> dict[str, Any]:
    """The figures of each way, beside the recipe and the floor."""
    recipe = ways[RECIPE]["right"]

    def beside(right: np.ndarray, other: np.ndarray) -> dict[str, Any]:
        return {
            "difference": float(right.mean() - other.mean()),
            "interval": paired_interval(other, right),
        }

    return {
        way: {
            "accuracy": float(found["right"].mean()),
            "cpu_seconds": found["cpu_seconds"],
            "from_recipe": beside(found["right"], recipe),
            "from_floor": beside(found["right"], floor),
        }
        for way, found in ways.items()
    }


if __name__ == "__main__":
    main()
