"""Accuracy of a recipe over folds: every image is judged once, by a network that never saw it.

The images of each class are dealt into folds; for each fold the program runs the recipe on the
others, of which a few validate. All runs share one cache.
"""

import csv
import tempfile
from pathlib import Path

import click
from common import judged, report, run, shuffled_classes


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), required=True)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=2))
@click.option("--first", type=click.IntRange(min=1), help="Use only this many.")
@click.option("--validation", default=0.02, show_default=True, help="Share of the other folds.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
@click.option("--seed", default=0, show_default=True, help="That deals the images.")
def main(
    data: Path,
    experiment: str,
    folds: int,
    first: int | None,
    validation: float,
    settings: tuple[str, ...],
    seed: int,
) -> None:
    """Say the accuracy over all folds, with its interval, and each fold's seconds."""
    with tempfile.TemporaryDirectory() as place:
        folder, results = Path(place), []
        for fold in range(first or folds):
            table = write_table(folder / f"fold{fold}.csv", data, fold, folds, validation, seed)
            own = (f"dataset.path={data}", f"dataset.labels={table}", *settings)
            words = [word for setting in own for word in ("--set", setting)]
            results.append(run(folder, folder / "cache", experiment, *words))
    tests = [result["test"] for result in results]
    total = sum(test["images"] for test in tests)
    correct = round(sum(test["accuracy"] * test["images"] for test in tests))
    figures = {
        "settings": settings,
        "folds": [result["test_accuracy"] for result in results],
        "trained_on": results[0]["data"]["train"]["images"],
        "seconds": [result["seconds"] for result in results],
    }
    report("folds", {**judged(correct, total), "total": total, **figures})


def write_table(
    file: Path, data: Path, fold: int, folds: int, validation: float, seed: int
) -> Path:
    """The table of labels in which one fold tests."""
    with file.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("path", "label", "split"))
        for name, images in shuffled_classes(data, seed):
            others = [path for row, path in enumerate(images) if row % folds != fold]
            validating = set(others[: max(1, round(validation * len(others)))])
            for row, path in enumerate(images):
                split = "validation" if path in validating else "train"
                split = "test" if row % folds == fold else split
                writer.writerow((path.relative_to(data), name, split))
    return file


if __name__ == "__main__":
    main()
