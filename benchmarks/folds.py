"""Accuracy of a recipe over folds: every image is judged once, by a network that never saw it.

The images of each class are dealt into folds; for each fold the program runs the recipe on the
others, of which a few validate. All runs share one cache, so that the frozen part runs once for
each image and view: `rows_expected` in all. `prefix_by_first` is its time in all folds by that in
the first.
"""

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from common import images_by_split, judged, new_rows, report, run, shuffled_classes


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
        folder, results, expected, known = Path(place), [], 0, set[Any]()
        for fold in range(first or folds):
            table = write_table(folder / f"fold{fold}.csv", data, fold, folds, validation, seed)
            own = (f"dataset.path={data}", f"dataset.labels={table}", *settings)
            words = [word for setting in own for word in ("--set", setting)]
            results.append(run(folder, folder / "cache", experiment, *words))
            images = images_by_split(rows_of(table, data))
            expected += sum(new_rows(stage, images, known) for stage in results[-1]["stages"])
    tests = [result["test"] for result in results]
    total = sum(test["images"] for test in tests)
    correct = round(sum(test["accuracy"] * test["images"] for test in tests))
    prefix = [sum(s["prefix_seconds"] for s in result["stages"]) for result in results]
    figures = {
        "settings": settings,
        "rows_made": [sum(s["cache"]["made"] for s in result["stages"]) for result in results],
        "rows_expected": expected,
        "prefix_seconds": prefix,
        "prefix_by_first": sum(prefix) / prefix[0] if prefix[0] else None,
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


def rows_of(table: Path, data: Path) -> Iterator[tuple[str, Path]]:
    """The split and the file of each image."""
    for row in csv.DictReader(table.read_text().splitlines()):
        yield row["split"], data / row["path"]


if __name__ == "__main__":
    main()
