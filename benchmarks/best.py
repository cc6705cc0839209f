"""How good `kerascnn best` is after how many minutes, on images that it never saw.

For each repetition a part of each class is left out for the test, by its number another one, and
each call begins with an empty cache. `over` is the longest call by its minutes, everything
included. With --experiment, that recipe is trained on the same images and compared image by image.
"""

import csv
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import KERASCNN, compared, document, judged, report, run, split_folder

AS_BEST_DOES = ("training.on_bad_image=skip", "training.on_duplicate=skip")


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option("--minutes", multiple=True, type=float, default=(3.0,), show_default=True)
@click.option("--repetitions", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--test-share", default=0.2, show_default=True, type=click.FloatRange(0, 1))
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), help="A recipe.")
@click.option("--option", "options", multiple=True, help="A further word for `kerascnn best`.")
def main(
    data: Path,
    minutes: tuple[float, ...],
    repetitions: int,
    test_share: float,
    experiment: str | None,
    options: tuple[str, ...],
) -> None:
    """Say the accuracy after each number of minutes, over all repetitions."""
    right: dict[float, list[np.ndarray]] = {each: [] for each in minutes}
    calls: dict[float, list[dict[str, Any]]] = {each: [] for each in minutes}
    recipe: list[np.ndarray] = []
    for repetition in range(repetitions):
        with tempfile.TemporaryDirectory() as place:
            photos = Path(place, data.name)
            split_folder(data, photos, {"test": test_share}, seed=repetition)
            for each in minutes:
                done, hits = best(Path(place), photos, each, repetition, options)
                calls[each].append(done)
                right[each].append(hits)
            if experiment:
                own = (f"dataset.path={photos}", f"seed={repetition}", *AS_BEST_DOES)
                words = [word for setting in own for word in ("--set", setting)]
                cache = Path(place, "cache-recipe")
                recipe.append(correct(run(Path(place), cache, experiment, *words)))
    figures = {
        f"{each:g}": figures_of(each, calls[each], np.concatenate(right[each]), recipe)
        for each in minutes
    }
    report("best", {"data": data.name, "repetitions": repetitions, "minutes": figures})


def best(
    folder: Path, photos: Path, minutes: float, seed: int, options: tuple[str, ...]
) -> tuple[dict[str, Any], np.ndarray]:
    """What `kerascnn best --json` says, and whether each test image is recognised."""
    words = ("--minutes", minutes, "--seed", seed, "--json", *options)
    done = document([*KERASCNN, "best", photos, *words], folder, folder / f"cache-{minutes:g}")
    return done, correct(done)


def correct(done: dict[str, Any]) -> np.ndarray:
    """Whether each test image of a run is recognised, in the order of their names: bool [N]."""
    with Path(done["artifacts"], "predictions.csv").open(newline="") as table:
        rows = sorted(csv.DictReader(table), key=lambda row: row["image"])
    return np.array([row["label"] == row["predicted"] for row in rows])


def figures_of(
    minutes: float, calls: list[dict[str, Any]], right: np.ndarray, recipe: list[np.ndarray]
) -> dict[str, Any]:
    figures = {
        **judged(int(right.sum()), len(right)),
        "repetitions": [call["test_accuracy"] for call in calls],
        "over": max(call["process_seconds"] for call in calls) / (60 * minutes),
        "winners": [winner(call) for call in calls],
        "retrained": [call["retrained"] for call in calls],
        "tried": [
            [[one["what"], one["val_accuracy"], one["seconds"]] for one in call["tried"]]
            for call in calls
        ],
    }
    if not recipe:
        return figures
    other = np.concatenate(recipe)
    return {
        **figures,
        "recipe": judged(int(other.sum()), len(other)),
        **compared(other, right),
    }


def winner(call: dict[str, Any]) -> str:
    """What the run in the end is: the last of what was better than all before."""
    return [one["what"] for one in call["tried"] if one["better"]][-1]


if __name__ == "__main__":
    main()
