"""Which images of a dataset a run has seen in its training, however each prepares them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from kerascnn.engine.data.packed import Data
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer
from kerascnn.engine.result import SEEN, VALIDATION_PREDICTIONS, Result
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
    seen, validated = _seen(run), set(map(bytes.fromhex, validation_of(run).digests))
    found = {
        "validation": _count(data.validation.digests, seen - validated),
        "test": _count(data.test.digests, seen),
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


def _seen(run: Result) -> set[bytes]:
    file = run.folder / SEEN
    if not file.is_file():
        again = command("run", str(run.folder / "experiment.toml"), "--fresh")
        raise InputError(
            f"run {run.run_id[:8]} does not say which images it was trained on, because {file} is "
            f"missing; `{again}` trains it again."
        )
    return {digest.tobytes() for digest in np.load(file)}


def _count(digests: np.ndarray, among: set[bytes]) -> int:
    return sum(digest.tobytes() in among for digest in digests)
