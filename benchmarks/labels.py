"""Wrong labels found: some labels of photographs are swapped, `check --labels` beside cleanlab."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import report, script

SHARES = (0.05, 0.1)
WAYS = ("random", "class")  # any other class, or always the next one


@click.command()
@click.option("--data", multiple=True, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--architecture", default="efficientnet_lite0", show_default=True)
@click.option("--image-size", default=224, show_default=True)
@click.option("--seeds", default=5, show_default=True)
@click.option("--cleanlab-python", help="The Python of an environment with cleanlab.")
def main(
    data: tuple[Path, ...],
    architecture: str,
    image_size: int,
    seeds: int,
    cleanlab_python: str | None,
) -> None:
    """Average precision, and recall among as many labels as were swapped; processor seconds."""
    figures = {}
    for folder in data:
        features, labels, folds, classes = read(folder, architecture, image_size)
        swapped = list(swaps(labels, classes, seeds))
        judged = [judge(features, of, folds, classes) for _, of in swapped]
        scores = {"kerascnn": np.stack([score for score, *_ in judged])}
        seconds = {"kerascnn": float(np.median([spent for *_, spent in judged]))}
        if cleanlab_python:
            probabilities = np.stack([said for _, said, *_ in judged])
            noisy = np.stack([of for _, of in swapped])
            others, spent = beside(cleanlab_python, features, noisy, probabilities)
            scores, seconds = scores | others, seconds | spent
        figures[folder.name] = {
            "images": len(labels),
            "seconds": seconds,
            **found(labels, swapped, scores),
            "counted_as_wrong": counted(labels, swapped, [wrong for _, _, wrong, _ in judged]),
        }
    report("labels", {"architecture": architecture, "image_size": image_size, "data": figures})


def read(
    folder: Path, architecture: str, image_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The features, labels and folds of a folder's training and validation images."""
    from kerascnn import Observer
    from kerascnn.experiment.bound import bind_experiment
    from kerascnn.studies.features.extract import extract_features

    experiment = {
        "name": folder.name,
        "dataset": {"name": "image_folder", "path": str(folder.resolve())},
        "architecture": {"name": architecture},
        "training": {"image_size": image_size, "on_duplicate": "skip"},
        "stages": [{"name": "head", "epochs": 1, "learning_rate": 1e-3}],
    }
    seen = extract_features(bind_experiment(experiment), Observer())
    return seen.values, seen.images.labels, seen.images.folds, seen.images.classes


def swaps(
    labels: np.ndarray, classes: int, seeds: int
) -> Iterator[tuple[tuple[float, str], np.ndarray]]:
    """The labels with a share of them swapped: the share, the way and the labels."""
    for share in SHARES:
        for way in WAYS:
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                rows = rng.choice(len(labels), round(share * len(labels)), replace=False)
                step = 1 if way == "class" else rng.integers(1, classes, len(rows))
                noisy = labels.copy()
                noisy[rows] = (labels[rows] + step) % classes
                yield (share, way), noisy


def judge(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """What `check --labels` finds by features: scores, probabilities, which are wrong; seconds."""
    from kerascnn.studies.labels.judge import judge_labels

    start = time.process_time()
    judged = judge_labels(features, labels, folds, classes)
    seconds = time.process_time() - start
    return judged.found.score, judged.probabilities, judged.found.wrong, seconds


def beside(
    python: str, features: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """cleanlab's scores of the same labels, and the seconds of its own cross-validation."""
    with tempfile.TemporaryDirectory() as place:
        given, scores = Path(place, "given.npz"), Path(place, "scores.npz")
        np.savez(given, features=features, labels=labels, probabilities=probabilities)
        said = script("labels_cleanlab.py", given, scores, python=python)
        of = np.load(scores)
        both = {"cleanlab on these probabilities": of["same"], "cleanlab": of["own"]}
    return both, {"cleanlab": said["own_seconds"]}


def found(
    labels: np.ndarray,
    swapped: list[tuple[tuple[float, str], np.ndarray]],
    scores: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Average precision and recall of each, the mean over seeds, by share and way."""
    figures: dict[str, Any] = {"average_precision": {}, "recall_at_top": {}}
    for case in dict.fromkeys(case for case, _ in swapped):
        runs = [number for number, (of, _) in enumerate(swapped) if of == case]
        name = f"{case[0]:.0%} {case[1]}"
        pairs = {
            who: np.mean([ranked(of[n], swapped[n][1] != labels) for n in runs], axis=0)
            for who, of in scores.items()
        }
        figures["average_precision"][name] = {who: float(of[0]) for who, of in pairs.items()}
        figures["recall_at_top"][name] = {who: float(of[1]) for who, of in pairs.items()}
    return figures


def ranked(score: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """Average precision of a ranking, and recall among as many as are wrong."""
    hits = wrong[np.argsort(-score, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    count = int(wrong.sum())
    return float((precision * hits).sum() / count), float(hits[:count].mean())


def counted(
    labels: np.ndarray,
    swapped: list[tuple[tuple[float, str], np.ndarray]],
    wrong: list[np.ndarray],
) -> dict[str, Any]:
    """How many are counted as wrong by how many were swapped, and how many of them were."""
    truly = [of != labels for _, of in swapped]
    pairs = list(zip(wrong, truly, strict=True))
    return {
        "by_swapped": float(np.mean([said.sum() / true.sum() for said, true in pairs])),
        "precision": float(np.mean([true[said].mean() for said, true in pairs])),
    }


if __name__ == "__main__":
    main()
