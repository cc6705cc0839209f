"""What settings are worth on small folders, judged on images that were left out of them.

From a large folder of class folders, small ones are drawn, one for each seed, which also seeds the
training. Each way to train is judged on the same fresh images, and compared with the recipe image
by image.
"""

import csv
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import judged, report, shuffled_classes

from kerascnn.cli.options import assignment
from kerascnn.engine.metrics.significance import paired_interval, wilson_interval

RECIPE = "recipe"


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), required=True)
@click.option("--counts", required=True, help="Images of each class, such as 60,60,15.")
@click.option("--fresh", default=40, show_default=True, help="Images a class to judge by.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--lr-find", is_flag=True, help="Also with a tenth of the rates of least loss.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
@click.option(
    "--against", metavar="KEY=VALUE;…", multiple=True, help="Also with these settings, together."
)
def main(
    data: Path,
    experiment: str,
    counts: str,
    fresh: int,
    seeds: int,
    lr_find: bool,
    settings: tuple[str, ...],
    against: tuple[str, ...],
) -> None:
    """Say the accuracy of each way to train, and its difference from the recipe's."""
    rows: dict[str, list[np.ndarray]] = {}
    sizes = list(map(int, counts.split(",")))
    labels, suggested = [], []
    with tempfile.TemporaryDirectory() as place, chdir(place):
        for seed in range(seeds):
            table = write_table(Path(place, f"{seed}.csv"), data, sizes, fresh, seed)
            place_of = (f"dataset.path={data}", f"dataset.labels={table}", f"seed={seed}")
            own = [*place_of, "training.on_duplicate=skip", *settings]
            ways = {RECIPE: own, **{words: [*own, *words.split(";")] for words in against}}
            if lr_find:
                suggested.append(suggestions(experiment, own))
                ways["lr-find"] = [*own, *suggested[-1]]
            for way, words in ways.items():
                right, labels_of_seed = judge(experiment, words)
                rows.setdefault(way, []).append(right)
            labels.append(labels_of_seed)
    report(
        "small_folders",
        {
            "data": data.name,
            "counts": counts,
            "settings": settings,
            "suggested": suggested,
            "ways": {
                way: figures(np.concatenate(right), np.concatenate(rows[RECIPE]))
                | {"seeds": [float(of_seed.mean()) for of_seed in right]}
                | of_classes(np.concatenate(right), np.concatenate(labels), sizes)
                | {"fewest": of_the_fewest(right, labels, sizes)}
                for way, right in rows.items()
            },
        },
    )


def write_table(
    file: Path, data: Path, counts: list[int], fresh: int, seed: int, share: float = 0.1
) -> Path:
    """The table of labels of a small folder, a share of which validates; fresh images test."""
    with file.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("path", "label", "split"))
        for count, (name, files) in zip(counts, shuffled_classes(data, seed), strict=True):
            validation = max(1, int(share * count))
            splits = ["validation"] * validation + ["train"] * (count - validation)
            for path, split in zip(files, splits + ["test"] * fresh, strict=False):
                writer.writerow((path.relative_to(data), name, split))
    return file


def suggestions(experiment: str, words: list[str]) -> list[str]:
    """Each stage's rate by the range test as settings, also where `lr-find` suggests nothing."""
    from kerascnn import load_experiment
    from kerascnn.studies.lr_find.find import find_learning_rate

    loaded = load_experiment(experiment, dict(map(assignment, words)))
    tests = [find_learning_rate(loaded, stage.name) for stage in loaded.stages]
    return [f"stages.{test.stage}.learning_rate={test.lowest / 10:.2g}" for test in tests]


def judge(experiment: str, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each fresh image is recognised after all stages, bool [N], and its class [N]."""
    from kerascnn import load_experiment
    from kerascnn.engine.data.preparation import Centred
    from kerascnn.engine.network.inference import Forward
    from kerascnn.engine.observer import Observer
    from kerascnn.engine.prepare import prepare_experiment
    from kerascnn.engine.training.stage import fit_stage

    loaded = load_experiment(experiment, dict(map(assignment, words)))
    prepared = prepare_experiment(loaded, Observer())
    standing = None
    for plan in prepared.plans:
        standing = fit_stage(prepared.network, plan, *prepared.examples(), standing).standing
    test = prepared.data.test
    images = Centred(test.images, loaded.training.image_size)
    probabilities = Forward(prepared.network.model)(images, loaded.training.batch_size)
    labels = np.asarray(test.labels)
    return probabilities.argmax(1) == labels, labels


def figures(right: np.ndarray, recipe: np.ndarray) -> dict[str, Any]:
    return {
        **judged(int(right.sum()), len(right)),
        "difference": float(right.mean() - recipe.mean()),
        "difference_interval": paired_interval(recipe, right),
    }


def of_classes(right: np.ndarray, labels: np.ndarray, counts: list[int]) -> dict[str, Any]:
    """Each class's recall, and the accuracy on images as uneven as those trained on."""
    recalls = [float(right[labels == of].mean()) for of in range(len(counts))]
    return {"recalls": recalls, "accuracy_as_uneven": float(np.average(recalls, weights=counts))}


def of_the_fewest(
    right: list[np.ndarray], labels: list[np.ndarray], counts: list[int]
) -> dict[str, Any]:
    """The recall of the class with the fewest images, over all seeds."""
    fewest = int(np.argmin(counts))
    hits = np.concatenate([r[of == fewest] for r, of in zip(right, labels, strict=True)])
    return {"recall": float(hits.mean()), "interval": wilson_interval(int(hits.sum()), len(hits))}


if __name__ == "__main__":
    main()
