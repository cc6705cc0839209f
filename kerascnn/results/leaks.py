"""Which images of a dataset a run has seen in its training, however each prepares them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.splits.divided import IMAGES, Divided
from kerascnn.engine.data.splits.training_splits import TRAINING_SPLITS
from kerascnn.engine.data.store.packed import Data, Packed
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import VALIDATION_PREDICTIONS, Result
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.predictions import Predictions, read_predictions
from kerascnn.runtime.commands import command

Loaded = Callable[[Result], Data]


def as_prepared(experiment: BoundExperiment, data: Data, observer: Observer) -> Loaded:
    """Loads an experiment's images as a run prepares them, once for each preparation.

    Args:
        experiment: Its dataset has the images.
        data: Those, as the experiment itself prepares them.
    """
    loaded = {Preparation.of(experiment.training): data}

    def load(run: Result) -> Data:
        wanted = Preparation.of(run.training)
        if wanted not in loaded:
            asked = {f"training.{key}": value for key, value in asdict(wanted).items()}
            loaded[wanted] = load_data(experiment.with_overrides(asked), observer)
        return loaded[wanted]

    return load


def leaks(run: Result, data: Data) -> str:
    """What of a dataset's validation and test images a run was trained on, in words; "" if nothing.

    A run's own validation images chose its weights, so they must not be test images either.

    Args:
        data: The dataset, as the run prepares it.
    """
    images, trained = images_of(run), TRAINING_SPLITS[run.training.train_on]
    found = {
        "validation": _count(data.validation, images.chosen("train")),
        "test": _count(data.test, images.chosen("validation", *trained)),
    }
    splits = data.splits()
    return " and ".join(
        f"{count:,} of the {len(splits[split]):,} {split} images"
        for split, count in found.items()
        if count
    )


def validation_of(run: Result) -> Predictions:
    """A run's predictions for its validation images, as trained."""
    return read_predictions(run.folder / VALIDATION_PREDICTIONS, run.class_names)


def rows_of(digests: np.ndarray, said: Predictions) -> tuple[Sequence[int], Sequence[int]]:
    """The rows of images uint8 [N, 32] that a run has predictions for, and the rows of those."""
    written = {digest: row for row, digest in enumerate(said.digests)}
    names = [digest.tobytes().hex() for digest in digests]
    both = [(row, written[name]) for row, name in enumerate(names) if name in written]
    return [row for row, _ in both], [row for _, row in both]


def images_of(run: Result) -> Divided:
    """The images of a run, with their splits and labels.

    Raises:
        InputError: The run does not say.
    """
    file = run.folder / IMAGES
    if not file.is_file():
        again = command("run", str(run.folder / "experiment.toml"), "--fresh")
        raise InputError(
            f"run {run.run_id[:8]} does not say which images it was trained on, because {file} is "
            f"missing; `{again}` trains it again."
        )
    return Divided.read(run.folder)


def _count(images: Packed, among: Divided) -> int:
    return int((among.find(images) >= 0).sum())
