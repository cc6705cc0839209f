"""An update of a run against a run from the beginning on the same images.

Of a folder of photographs some are held back, and a class of another folder is not shown at first.
Then both are added: once by `kerascnn update`, and once from the beginning, with an empty cache, on
the same splits. Seconds are of the processor, which other work on the machine changes least.
`old_tests_kept` says whether every test image of the run is one of the update.
"""

import csv
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import KERASCNN, document, report, shuffled_classes

from kerascnn.engine.data.splits.divided import Divided
from kerascnn.engine.metrics.significance import equally_accurate, paired_interval


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option(
    "--new-class",
    type=click.Path(exists=True, resolve_path=True, path_type=Path),
    required=True,
    help="A folder of images of one class.",
)
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), required=True)
@click.option("--held-back", default=50, show_default=True, type=click.IntRange(min=1))
@click.option("--of-new-class", default=50, show_default=True, type=click.IntRange(min=3))
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
@click.option("--start", default="auto", show_default=True, help="Of the update.")
def main(
    data: Path,
    new_class: Path,
    experiment: str,
    held_back: int,
    of_new_class: int,
    seeds: int,
    settings: tuple[str, ...],
    start: str,
) -> None:
    """Say the seconds and the accuracy of both, and whether these can be told apart."""
    sets = [word for setting in settings for word in ("--set", setting)]
    every = list[dict[str, Any]]()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            copy_part(data, folder, held_back, seed)
            copy_images(new_class, folder / "more" / new_class.name, of_new_class)
            own = [*sets, "--set", f"seed={seed}"]
            every.append(both(folder, experiment, own, start))
    right = {arm: np.concatenate([one.pop(arm) for one in every]) for arm in ("update", "anew")}
    report(
        "update",
        {
            "data": data.name,
            "seeds": every,
            "seconds_ratio": float(np.mean([one["ratio"] for one in every])),
            "images": len(right["anew"]),
            "accuracy": {arm: float(of.mean()) for arm, of in right.items()},
            "difference_interval": paired_interval(right["anew"], right["update"]),
            "p_value": equally_accurate(right["update"], right["anew"]),
        },
    )


def copy_part(data: Path, folder: Path, held_back: int, seed: int) -> None:
    """Copies the images to `photos`, and those held back, of all classes in turn, to `more`."""
    classes = list(shuffled_classes(data, seed))
    for number, (name, files) in enumerate(classes):
        count = len(range(number, held_back, len(classes)))
        for file in files:
            into = folder / ("more" if file in files[:count] else "photos") / name
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, into)


def copy_images(source: Path, target: Path, count: int) -> None:
    target.mkdir(parents=True)
    for file in sorted(source.iterdir())[:count]:
        shutil.copy(file, target)


def both(folder: Path, experiment: str, sets: list[str], start: str) -> dict[str, Any]:
    """The run, its update, and the same from the beginning."""
    run = [*KERASCNN, "run", experiment, "--set", f"dataset.path={folder / 'photos'}", *sets]
    base, base_seconds = timed([*run, "--json"], folder, folder / "cache")
    words = ["--data", folder / "more", "--start", start, "--json"]
    update = [*KERASCNN, "update", base["run_id"], *words]
    updated, seconds = timed(update, folder, folder / "cache")
    file = Path(updated["artifacts"], "experiment.toml")
    again = [*KERASCNN, "run", file, "--set", "update.start=anew", "--json"]
    anew, anew_seconds = timed(again, folder, folder / "empty")
    table = updated["update"]
    return {
        "run": {"accuracy": base["test_accuracy"], "seconds": base_seconds},
        "start": table["start"],
        "new": table["new"],
        "update_seconds": seconds,
        "anew_seconds": anew_seconds,
        "ratio": seconds / anew_seconds,
        "old_tests_kept": kept(base, updated),
        "worse": table["worse"],
        "old_tests": table["old_tests"],
        "new_tests": table["new_tests"],
        "update": correct(updated),
        "anew": correct(anew),
    }


def timed(command: list[Any], folder: Path, cache: Path) -> tuple[dict[str, Any], float]:
    """What a command prints as JSON, and the seconds of the processor that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = document(command, folder, cache)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return done, user + system


def kept(base: dict[str, Any], updated: dict[str, Any]) -> bool:
    """Whether all test images of the run are test images of the update, by their content."""
    tests = [Divided.read(Path(run["artifacts"])).chosen("test") for run in (base, updated)]
    before, after = ({content.tobytes() for content in of.contents} for of in tests)
    return before <= after


def correct(done: dict[str, Any]) -> np.ndarray:
    """Whether each test image of a run is recognised, by the order of their names: bool [N]."""
    with Path(done["artifacts"], "predictions.csv").open(newline="") as table:
        rows = sorted(csv.DictReader(table), key=lambda row: row["sha256"])
    return np.array([row["label"] == row["predicted"] for row in rows])


if __name__ == "__main__":
    main()
