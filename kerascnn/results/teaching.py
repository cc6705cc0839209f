"""A run as the teacher of another network."""

import hashlib
from typing import Any

import numpy as np

from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.network.joined import Part, join
from kerascnn.engine.observer import Observer, Only
from kerascnn.engine.result.run import PREDICTIONS, Result
from kerascnn.engine.training.teacher import Teacher
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.find import find_run
from kerascnn.results.joined import weights_sha256
from kerascnn.results.leaks import Loaded, as_prepared, leaks, rows_of
from kerascnn.results.predictions import read_predictions


def load_teacher(experiment: BoundExperiment, data: Data, observer: Observer) -> Teacher | None:
    """The run that teaches an experiment, checked; None if there is none.

    Its network is made when it is needed.

    Args:
        data: The experiment's images.

    Raises:
        InputError: The run is gone, has other weights than the experiment says or other classes, or
            was trained on the experiment's validation or test images.
    """
    if (settings := experiment.training.teacher) is None:
        return None
    result, size = find_run(settings.run), experiment.training.image_size
    sha256 = weights_sha256(result)
    loaded = as_prepared(experiment, data, Only(progress=observer.progress))
    if fault := _fault(result, sha256, experiment, data, loaded):
        raise InputError(f"training.teacher: run {result.run_id[:8]} {fault}.")
    temperature = result.temperature * settings.temperature
    own = result.training.image_size

    def build() -> Any:
        return join([Part(result.model, own, temperature, 1.0)], size)

    decides = (sha256, size, temperature, settings.share)
    return Teacher(
        run=result.run_id,
        key=hashlib.sha256(repr(decides).encode()).hexdigest(),
        share=settings.share,
        build=build,
        tested=lambda: _tested(result, loaded),
    )


def _fault(
    result: Result, sha256: str, experiment: BoundExperiment, data: Data, loaded: Loaded
) -> str:
    settings = experiment.training.teacher
    if settings and settings.sha256 not in (None, sha256):
        return "has other weights than those with this sha256"
    if result.class_names != list(data.class_names):
        return f"has other classes: {', '.join(result.class_names[:10])}"
    if found := leaks(result, loaded(result)):
        return f"was trained on {found}, so its student could not be judged by them"
    return ""


def _tested(result: Result, loaded: Loaded) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    said = read_predictions(result.folder / PREDICTIONS, result.class_names)
    here, there = rows_of(loaded(result).test.digests, said)
    rows = np.array(there, int)
    return np.array(here, int), rows, said.predicted[rows]
