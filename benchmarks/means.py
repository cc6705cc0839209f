"""Which of several trials to use: the one with the least loss, or a mean of some, as `best` does.

A folder is split anew each time: 64% of the images train what `best` would try, 16% choose among
it, and the rest tests each choice. Nothing is trained on the images that choose.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import chdir
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import report, split_folder

from kerascnn import Observer
from kerascnn.components.registry import load_registry
from kerascnn.engine.data.hygiene.balance import uneven
from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.calibration import fit_temperature, tempered
from kerascnn.engine.metrics.score import cross_entropy
from kerascnn.engine.metrics.significance import paired_interval
from kerascnn.run.adapt import head_epochs, steps_of
from kerascnn.run.session import Session
from kerascnn.run.trial import run_trial
from kerascnn.runtime.backend import start_backend
from kerascnn.studies.best.folder import folder_experiment
from kerascnn.studies.best.mean import candidates
from kerascnn.studies.best.rungs import FINETUNED, FROZEN, HEAD_EPOCHS, LARGER_SIZE, Rung

NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
TESTS = "tests "  # begins the names of images that test, among the validation images
SETTINGS = {"training.on_duplicate": "allow"}


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option("--networks", default=",".join(NETWORKS), show_default=True)
@click.option("--image-size", default=224, show_default=True, help="Pixels.")
@click.option("--views", default=4, show_default=True, help="Of a fine-tuning.")
@click.option("--more", is_flag=True, help="Also more views, another seed and larger images.")
@click.option("--splits", default=4, show_default=True, type=click.IntRange(min=1))
def main(data: Path, networks: str, image_size: int, views: int, more: bool, splits: int) -> None:
    """Say the test accuracy and loss of each choice, over all splits."""
    rungs_of = partial(trials, networks.split(","), image_size, views, more)
    right: dict[str, list[np.ndarray]] = {}
    loss: dict[str, list[float]] = {}
    for seed in range(splits):
        with tempfile.TemporaryDirectory() as place, chdir(place):
            said, labels, tests = tried(data, Path(place), rungs_of, seed)
        for choice, members in choices(said[:, ~tests], labels[~tests]).items():
            mean = said[members][:, tests].mean(0)
            right.setdefault(choice, []).append(mean.argmax(1) == labels[tests])
            loss.setdefault(choice, []).append(cross_entropy(labels[tests], mean))
    figures = {choice: figures_of(right, loss, choice) for choice in right}
    settings = {"trials": [rung.what for rung in rungs_of(HEAD_EPOCHS)], "splits": splits}
    report("means", {"data": data.name, **settings, "choices": figures})


def trials(
    networks: Sequence[str], image_size: int, views: int, more: bool, head_epochs: int
) -> list[Rung]:
    """What is tried, as `best` would."""
    tuned = [
        Rung(FINETUNED, network, image_size, views, views, head_epochs=head_epochs)
        for network in networks
    ]
    rungs = [Rung(FROZEN, network, image_size, head_epochs) for network in networks] + tuned
    if more:
        rungs += [replace(one, epochs=2 * views, views=2 * views) for one in tuned[:2]]
        rungs += [replace(tuned[0], seed=1), replace(rungs[:2][-1], image_size=LARGER_SIZE)]
    return rungs


def tried(
    data: Path, folder: Path, rungs_of: Callable[[int], list[Rung]], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each trial says, calibrated, float [T, N, K]; labels [N]; and which images test [N]."""
    photos = folder / data.name
    split_folder(data, photos, {"test": 0.2, "validation": 0.16}, seed)
    for file in photos.glob("test/*/*"):
        shutil.copy(file, photos / "validation" / file.parent.name / f"{TESTS}{file.name}")
    base = folder_experiment(photos, load_registry()).with_overrides({**SETTINGS, "seed": seed})
    start_backend(base.training.backend)
    loaded = load_data(base, Observer())
    names = map(loaded.validation.name, range(len(loaded.validation)))
    tests = np.array([f"/{TESTS}" in name for name in names])
    weights = "balanced" if uneven(loaded.class_counts()["train"]) else None
    said, labels = [], loaded.validation.labels
    steps = steps_of(len(loaded.train), base.training.images_per_step)
    rungs = rungs_of(max(HEAD_EPOCHS, head_epochs(steps)))
    with Session() as session:
        for number, rung in enumerate(rungs):
            trial = rung.of(base, weights)
            place = folder / str(number)
            look = run_trial(trial, Observer(), session=session, folder=place).look
            temperature = fit_temperature(look.probabilities[~tests], labels[~tests])
            said.append(tempered(look.probabilities, temperature))
    return np.array(said), labels, tests


def choices(said: np.ndarray, labels: np.ndarray) -> dict[str, list[int]]:
    """The trials that each way to choose takes the mean of."""
    may_be = candidates(dict(enumerate(said)), labels)
    several = {f"mean of {count} not told apart": may_be[:count] for count in (2, 3, 5)}
    return {"least loss": may_be[:1], **several, "mean of all": [*range(len(said))]}


def figures_of(
    right: dict[str, list[np.ndarray]], loss: dict[str, list[float]], choice: str
) -> dict[str, Any]:
    ours, first = np.concatenate(right[choice]), np.concatenate(right["least loss"])
    return {
        "accuracy": float(ours.mean()),
        "loss": float(np.mean(loss[choice])),
        "difference": float(ours.mean() - first.mean()),
        "difference_interval": paired_interval(first, ours),
    }


if __name__ == "__main__":
    main()
