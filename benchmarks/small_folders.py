"""What settings are worth on small folders, judged on images that were left out of them.

From a large folder of class folders, small ones are drawn, one for each seed, which also seeds the
training. Each way to train is judged on the same fresh images, and compared with the recipe image
by image.
"""

import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
import drawn
import numpy as np
from common import judged, report

from kerascnn.engine.metrics.significance import paired_interval, wilson_interval

RECIPE = "recipe"


@click.command()
@drawn.options
@click.option("--lr-find", is_flag=True, help="Also with a tenth of the rates of least loss.")
@click.option(
    "--against", metavar="KEY=VALUE;…", multiple=True, help="Also with these settings, together."
)
def main(
    data: Path,
    experiment: Path,
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
            table = drawn.write_table(Path(place, f"{seed}.csv"), data, sizes, fresh, seed)
            own = [*drawn.settings_of(data, table, seed), *settings]
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


def suggestions(experiment: Path, words: list[str]) -> list[str]:
    """Each stage's rate by the range test as settings, also where `lr-find` suggests nothing."""
    from kerascnn.studies.lr_find.find import find_learning_rate

    loaded = drawn.load(experiment, words)
    tests = [find_learning_rate(loaded, stage.name) for stage in loaded.stages]
    return [f"stages.{test.stage}.learning_rate={test.lowest / 10:.2g}" for test in tests]


def judge(experiment: Path, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each fresh image is recognised after all stages, bool [N], and its class [N]."""
    prepared = drawn.prepare(drawn.load(experiment, words))
    drawn.train(prepared)
    probabilities, labels = drawn.predict(prepared, "test")
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
