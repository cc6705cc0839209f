"""Collects what a report shows, from the folder and the images of a run."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from kerascnn.engine.data.decoding.preparation import Centred, Preparation
from kerascnn.engine.data.store.packed import Data, Packed
from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.outcome import Outcome
from kerascnn.engine.result.run import PREDICTIONS, Result
from kerascnn.errors import KerascnnError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.predictions import Predictions, read_predictions


class Judged(Protocol):
    """Images that a run's model was evaluated on: its test images, or others."""

    @property
    def result(self) -> Outcome: ...

    @property
    def test(self) -> Predictions: ...

    def pixels(self) -> Centred | None:
        """The images as the network sees them, uint8 [N, S, S, 3]; None if they are missing."""


@dataclass(frozen=True)
class Material:
    """Everything that a report shows.

    Args:
        test: The predictions for the test images, calibrated by the run's temperature.
        data: The images; None if they are missing.
        missing: Why they are missing, in a sentence; "" if they are not.
        model: The trained network.
    """

    result: Result
    experiment: BoundExperiment
    test: Predictions
    data: Data | None
    missing: str
    model: Any

    def pixels(self, split: str = "test") -> Centred | None:
        """The images of a split as the network sees them, uint8 [N, S, S, 3]."""
        if self.data is None:
            return None
        return Preparation.of(self.experiment.training).windows(self.data.splits()[split].images)


def gather(
    result: Result, experiment: BoundExperiment, model: Any, data: Data | None = None
) -> Material:
    """Collects what a run has written, and its images.

    Args:
        experiment: The run's, bound.
        model: The trained network.
        data: The images; default they are loaded from the experiment's dataset.
    """
    missing = ""
    if data is None:
        data, missing = _find_data(result, experiment)
    return Material(
        result,
        experiment,
        test=calibrated_predictions(result),
        data=data,
        missing=missing,
        model=model,
    )


def _find_data(result: Result, experiment: BoundExperiment) -> tuple[Data | None, str]:
    """The images of a run, or why they are missing."""
    try:
        data = load_data(experiment, Observer())
    except (KerascnnError, OSError) as error:
        return None, str(error)
    changed = [name for name, packed in data.splits().items() if _differs(packed, result, name)]
    if changed:
        return None, f"the {' and '.join(changed)} images differ from those of the run."
    return data, ""


def _differs(packed: Packed, result: Result, split: str) -> bool:
    return packed.fingerprint != result.data[split]["fingerprint"]


def calibrated_predictions(result: Outcome) -> Predictions:
    """The predictions for the tested images, with the temperature applied."""
    read = read_predictions(result.folder / PREDICTIONS, result.class_names, result.repeats)
    return replace(read, probabilities=tempered(read.probabilities, result.temperature))
