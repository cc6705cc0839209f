"""Whether `kerascnn more` foresees the accuracy, and chooses images that are worth a label.

All is computed from the features of a folder of class folders by an experiment's frozen network.
A repetition draws a small dataset, foresees the accuracy with more images, and compares it with
heads that learn from that number, judged on all others. Then it labels the images that
`more --from` chooses, or random ones, and judges a head on images that neither may choose.
"""

import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import report
from threadpoolctl import threadpool_limits

from kerascnn import load_experiment
from kerascnn.engine.metrics.learning_curve import LearningCurve, fit_curve
from kerascnn.engine.metrics.significance import paired_interval
from kerascnn.engine.observer import Observer
from kerascnn.runtime.backend import select_backend
from kerascnn.studies.features.classifier import PENALTIES
from kerascnn.studies.features.extract import extract_features
from kerascnn.studies.more.choice import choose
from kerascnn.studies.more.heads import nested, paths, refit_heads

FOLDS = 5
Labelled = tuple[np.ndarray, np.ndarray]  # features [N, F] and labels [N]


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--experiment", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--size", type=int, default=300, show_default=True, help="Images there are.")
@click.option("--target", "targets", type=int, multiple=True, default=(600, 1200))
@click.option("--repetitions", type=int, default=10, show_default=True)
@click.option("--labelled", type=int, default=100, show_default=True)
@click.option("--batch", type=int, default=50, show_default=True)
@click.option("--batches", type=int, default=3, show_default=True)
def main(
    data: Path,
    experiment: Path,
    size: int,
    targets: tuple[int, ...],
    repetitions: int,
    labelled: int,
    batch: int,
    batches: int,
) -> None:
    """Say how often the 90% interval held what was measured, and what chosen images gain."""
    of = features_of(data.resolve(), experiment)
    with threadpool_limits(1, "blas"):
        curves = [foreseen(of, size, seed) for seed in range(repetitions)]
        chosen = [labelling(of, labelled, batch, batches, seed) for seed in range(repetitions)]
        judged = [against(of, curves, target) for target in targets]
    report(
        "more",
        {
            "data": data.name,
            "experiment": experiment.name,
            "images": len(of[1]),
            "size": size,
            "repetitions": repetitions,
            "foreseen": judged,
            "labelled": labelled,
            "batch": batch,
            "next": gains(np.array(chosen)),
        },
    )


def features_of(data: Path, experiment: Path) -> Labelled:
    """The features of nearly all images, and their labels; few are left to test."""
    settings = {"dataset.path": str(data), "dataset.test_fraction": 0.01}
    bound = load_experiment(experiment, settings)
    select_backend(bound.training.backend)
    with tempfile.TemporaryDirectory() as place, chdir(place):
        features = extract_features(bound, Observer())
    return features.values, features.images.labels


def foreseen(of: Labelled, size: int, seed: int) -> LearningCurve:
    """The curve of a dataset that is drawn."""
    (values, labels), rng = of, np.random.default_rng(seed)
    rows = nested(labels, np.arange(len(labels)), rng)[:size]
    heads = refit_heads(values[rows], labels[rows], folds_of(labels[rows]), labels.max() + 1)
    return fit_curve(heads.sizes, heads.wrong)


def folds_of(labels: np.ndarray) -> np.ndarray:
    """The fold of each image, int [N]: each has its share of every class."""
    folds = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        folds[of_class] = (np.arange(len(of_class)) + label) % FOLDS
    return folds


def against(of: Labelled, curves: list[LearningCurve], target: int) -> dict[str, Any]:
    """What was foreseen for a number of images beside heads that learn from it."""
    labels, measured = of[1], list[float]()
    for seed in range(len(curves)):
        order = nested(labels, np.arange(len(labels)), np.random.default_rng(1000 + seed))
        measured.append(accuracy(of, order[:target], order[target:]))
    truth, said = float(np.mean(measured)), [curve.accuracy(target) for curve in curves]
    return {
        "images": target,
        "measured": truth,
        "inside": sum(one.low <= truth <= one.high for one in said),
        "width": float(np.mean([one.high - one.low for one in said])),
        "difference": float(np.mean([one.value for one in said]) - truth),
    }


def labelling(of: Labelled, labelled: int, batch: int, batches: int, seed: int) -> Any:
    """The accuracy with chosen and with random images after each batch: [2, batches]."""
    (values, labels), rng = of, np.random.default_rng(seed)
    order = nested(labels, np.arange(len(labels)), rng)
    third = len(order) // 3
    judged, pool = order[:third], order[third:]
    reached = []
    for way in (True, False):
        known, rest, row = pool[:labelled], pool[labelled:], list[float]()
        for _ in range(batches):
            at = rng.permutation(len(rest))[:batch]
            if way:
                probabilities = guessed(of, known, rest)
                at = choose(probabilities, values[rest], values[known], batch)
            known, rest = np.concatenate([known, rest[at]]), np.delete(rest, at)
            row.append(accuracy(of, known, judged))
        reached.append(row)
    return reached


def gains(reached: np.ndarray) -> list[dict[str, Any]]:
    """The gain of chosen over random images after each batch, of accuracies [R, 2, batches]."""
    return [
        {
            "chosen": float(chosen.mean()),
            "random": float(random.mean()),
            "difference": float((chosen - random).mean()),
            "interval": paired_interval(random, chosen),
        }
        for chosen, random in reached.transpose(2, 1, 0)
    ]


def accuracy(of: Labelled, learned: np.ndarray, judged: np.ndarray) -> float:
    """That of a head on the images `judged`."""
    return float((guessed(of, learned, judged).argmax(1) == of[1][judged]).mean())


def guessed(of: Labelled, learned: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Probabilities [M, K], with the penalty that five folds of the images learned from favour."""
    values, labels = of
    folds, classes = folds_of(labels[learned]), labels.max() + 1
    losses = np.zeros(len(PENALTIES))
    for fold in range(FOLDS):
        here, there = learned[folds != fold], learned[folds == fold]
        for place, logs in enumerate(paths(values, labels, here, there, classes)):
            losses[place] -= logs[np.arange(len(there)), labels[there]].sum()
    *_, logs = paths(values, labels, learned, judged, classes, PENALTIES[: losses.argmin() + 1])
    return np.exp(logs)


if __name__ == "__main__":
    main()
