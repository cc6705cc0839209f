"""Small folders drawn from a large one, and experiments trained on them without a run."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import shuffled_classes

from kerascnn.cli.options import assignment

_FILE = click.Path(exists=True, resolve_path=True, path_type=Path)
_OPTIONS = (
    click.option("--data", type=_FILE, required=True),
    click.option("--experiment", type=_FILE, required=True),
    click.option("--counts", required=True, help="Images of each class, such as 60,60,15."),
    click.option("--fresh", default=40, show_default=True, help="Images a class to judge by."),
    click.option("--seeds", default=3, show_default=True),
    click.option(
        "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment."
    ),
)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """What is drawn, how often, and what is trained on it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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


def settings_of(data: Path, table: Path, seed: int) -> list[str]:
    """The settings of an experiment on a small folder."""
    own = [f"dataset.path={data}", f"dataset.labels={table}", f"seed={seed}"]
    return [*own, "training.on_duplicate=skip"]


def load(experiment: Path, words: list[str]) -> Any:
    from kerascnn import load_experiment

    return load_experiment(experiment, dict(map(assignment, words)))


def prepare(experiment: Any) -> Any:
    from kerascnn.engine.observer import Observer
    from kerascnn.engine.prepare import prepare_experiment

    return prepare_experiment(experiment, Observer())


def train(prepared: Any) -> None:
    """Trains all stages."""
    from kerascnn.engine.training.stage import fit_stage

    standing = None
    for plan in prepared.plans:
        images, validation = prepared.examples(plan)
        standing = fit_stage(prepared.network, plan, images, validation, standing).standing


def predict(prepared: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities [N, K] and the labels [N] of a split."""
    from kerascnn.engine.data.decoding.preparation import Centred
    from kerascnn.engine.network.inference import Forward

    packed, training = prepared.data.splits()[split], prepared.experiment.training
    images = Centred(packed.images, training.image_size)
    probabilities = Forward(prepared.network.model)(images, training.batch_size)
    return probabilities, np.asarray(packed.labels)
