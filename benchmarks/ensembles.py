"""An ensemble against the best of its members, and the one network that it teaches, over folds.

Each image is tested once. In each fold the recipe trains every network on the other images;
`kerascnn ensemble` joins them, and `kerascnn distil` teaches one network what they know. The best
member of a fold is that with the highest validation accuracy. `kept` is the share of the
ensemble's gain over it that the student has.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from best import AS_BEST_DOES, correct
from common import (
    KERASCNN,
    compared,
    document,
    judged,
    networks_option,
    report,
    run,
    shuffled_classes,
)

BEST, ENSEMBLE, STUDENT = "best member", "ensemble", "student"


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), required=True)
@networks_option
@click.option("--into", default="efficientnet_lite0", show_default=True, help="The student.")
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=2))
@click.option("--first", type=click.IntRange(min=1), help="Only the first of these folds.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the members.")
def main(
    data: Path,
    experiment: str,
    networks: str,
    into: str,
    folds: int,
    first: int | None,
    settings: tuple[str, ...],
) -> None:
    """Say the accuracy of each, and the paired differences from the best member."""
    right: dict[str, list[np.ndarray]] = {}
    for fold in range(first or folds):
        with tempfile.TemporaryDirectory() as place:
            divide(data, Path(place, data.name), fold, folds)
            own = (f"dataset.path={Path(place, data.name)}", *AS_BEST_DOES, *settings)
            for name, hits in one_fold(Path(place), experiment, networks.split(","), into, own):
                right.setdefault(name, []).append(hits)
    every = {name: np.concatenate(hits) for name, hits in right.items()}
    report("ensembles", {"data": data.name, "folds": first or folds, **figures(every)})


def divide(source: Path, target: Path, fold: int, folds: int) -> None:
    """Copies every image, each `folds`-th of a class to be tested."""
    for name, files in shuffled_classes(source, 0):
        for number, file in enumerate(files):
            split = "test" if number % folds == fold else "train"
            (target / split / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / split / name)


def one_fold(
    folder: Path, experiment: str, networks: list[str], into: str, settings: tuple[str, ...]
) -> list[tuple[str, np.ndarray]]:
    """Whether each test image is recognised, by the name of what was tested."""
    cache, sets = folder / "cache", [word for one in settings for word in ("--set", one)]
    members = {
        name: run(folder, cache, experiment, *sets, "--set", f"architecture.name={name}")
        for name in networks
    }
    best = max(members.values(), key=lambda done: done["stages"][-1]["val_accuracy"])
    ids = [done["run_id"] for done in members.values()]
    joined = document([*KERASCNN, "ensemble", *ids, "--json"], folder, cache)
    words = [joined["run_id"], "--into", into, "--json"]
    taught = document([*KERASCNN, "distil", *words], folder, cache)
    tested = {**members, BEST: best, ENSEMBLE: joined, STUDENT: taught}
    return [(name, correct(done)) for name, done in tested.items()]


def figures(right: dict[str, np.ndarray]) -> dict[str, Any]:
    gains = {name: compared(right[BEST], right[name]) for name in (ENSEMBLE, STUDENT)}
    whole, kept = (gains[name]["difference"] for name in (ENSEMBLE, STUDENT))
    return {
        "accuracy": {name: judged(int(hits.sum()), len(hits)) for name, hits in right.items()},
        "gain": gains,
        "kept": kept / whole if whole > 0 else None,
    }


if __name__ == "__main__":
    main()
