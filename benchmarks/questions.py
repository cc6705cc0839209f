"""What a second question costs: the images packed, and the rows of activations computed anew.

A recipe of two stages, the second with augmented views, runs on a copy of the photographs from an
empty cache; then once for each change. A row is what the frozen part gives for an image, or for one
view of it. `expected` are the rows of images that have not been in that place yet: with another
split, of those that were not trained on before. All stages are trained anew.
"""

import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from common import images_by_split, new_rows, report, run, split_folder, write_experiment

RECIPE = Path(__file__).parents[1] / "experiments" / "folder.toml"
SHARES = {"validation": 0.1, "test": 0.1}
ADDED = 10


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option(
    "--experiment", type=click.Path(exists=True, path_type=Path), default=RECIPE, show_default=True
)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
def main(data: Path, experiment: Path, settings: tuple[str, ...]) -> None:
    """Ask one question after another; `as_expected` says whether each cost only what is new."""
    recipe = tomllib.loads(experiment.read_text())
    with tempfile.TemporaryDirectory() as place:
        folder, photos, again = Path(place), Path(place, "photos"), Path(place, "again")
        split_folder(data, photos, SHARES)
        split_folder(data, again, SHARES, seed=1)
        ask = Asking(folder, recipe, settings)
        with withheld(photos / "train", folder / "withheld"):
            first = ask(photos)
        answers = {name: ask(*change) for name, *change in questions(recipe, photos, again)}
    runs = {"first run": first, **answers}
    as_expected = all(answer["as_expected"] for answer in runs.values())
    report("questions", {"settings": settings, "as_expected": as_expected, "runs": runs})


def questions(recipe: dict[str, Any], photos: Path, again: Path) -> Iterator[tuple[Any, ...]]:
    """The name of each change, the photographs, and settings or stages to add."""
    last = recipe["stages"][-1]
    stage, training = f"stages.{last['name']}", recipe["training"]
    yield "ten images added", photos
    yield "batch size", photos, {"training.batch_size": training.get("batch_size", 32) // 2}
    yield "learning rate", photos, {f"{stage}.learning_rate": last["learning_rate"] / 2}
    yield "more epochs", photos, {f"{stage}.epochs": last["epochs"] + 1}
    yield "a third stage at the same boundary", photos, {}, [{**last, "name": "more"}]
    yield "another split", again
    yield "another seed", photos, {"seed": 1}


@contextmanager
def withheld(train: Path, aside: Path) -> Iterator[None]:
    """Moves some training images of all classes aside."""
    files = sorted(train.glob("*/*"))
    chosen = [files[number * len(files) // ADDED] for number in range(ADDED)]
    moved = [(file, aside / file.parent.name / file.name) for file in chosen]
    for file, place in moved:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, place)
    yield
    for file, place in moved:
        shutil.move(place, file)


class Asking:
    """Runs a recipe with changes, and compares what each run computes with what is new in it."""

    def __init__(self, folder: Path, recipe: dict[str, Any], settings: tuple[str, ...]) -> None:
        self._folder, self._recipe, self._settings = folder, recipe, settings
        self._rows: set[Any] = set()
        self._packed: set[bytes] = set()

    def __call__(
        self,
        photos: Path,
        settings: dict[str, Any] | None = None,
        stages: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        recipe = {**self._recipe, "stages": [*self._recipe["stages"], *(stages or [])]}
        file = write_experiment(self._folder, recipe)
        own = {"dataset.path": photos, **(settings or {})}
        values = [*self._settings, *(f"{key}={value}" for key, value in own.items())]
        words = [word for value in values for word in ("--set", value)]
        result = run(self._folder, self._folder / "cache", file, *words)
        images = images_by_split((file.parts[-3], file) for file in photos.glob("*/*/*"))
        return {**self._compared(result, images), "settings": settings or {}}

    def _compared(self, result: dict[str, Any], images: dict[str, set[bytes]]) -> dict[str, Any]:
        stages = []
        for stage in result["stages"]:
            keys = ("name", "prefix_seconds", "fit_seconds")
            counts = {key: stage["cache"][key] for key in ("made", "reused")}
            rows = {**counts, "expected": new_rows(stage, images, self._rows)}
            stages.append({**{key: stage[key] for key in keys}, **rows})
        packed = sum(split["packed"] for split in result["data"].values())
        new = set().union(*images.values()) - self._packed
        self._packed |= new
        return {
            "as_expected": packed == len(new) and all(s["made"] == s["expected"] for s in stages),
            "packed": packed,
            "made": sum(stage["made"] for stage in stages),
            "stages": stages,
            "data_seconds": result["data_seconds"],
            "process_seconds": result["process_seconds"],
        }


if __name__ == "__main__":
    main()
