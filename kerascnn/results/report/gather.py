"""What a report tells of, brought together from a run's folder and its images."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from kerascnn.engine.data.packed import Packed
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.splits import Data
from kerascnn.engine.data.windows import Centred
from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.temperature import tempered
from kerascnn.engine.observer import Observer
from kerascnn.engine.result import PREDICTIONS, Result
from kerascnn.errors import KerascnnError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.predictions import Predictions, read_predictions


class Judged(Protocol):
    """Images on which a run's model was judged: its test images, or those of an evaluation."""

    @property
    def result(self) -> Result: ...

    @property
    def test(self) -> Predictions: ...

    def pixels(self) -> Centred | None:
        """The images as the network takes them, uint8 [N, S, S, 3]; None where they are gone."""


@dataclass(frozen=True)
class Material:
    """All that a report tells of.

    Args:
        test: The run's predictions of the test images, calibrated by its temperature.
        as_trained: The same without the temperature.
        data: The images; None where they are gone.
        missing: Why they are, in a sentence; "" where they are not.
        model: The trained network.
    """

    result: Result
    experiment: BoundExperiment
    test: Predictions
    as_trained: Predictions
    data: Data | None
    missing: str
    model: Any

    def pixels(self, split: str = "test") -> Centred | None:
        """The images of a split as the network takes them, uint8 [N, S, S, 3]."""
        if self.data is None:
            return None
        return Preparation.of(self.experiment.training).windows(self.data.splits()[split].images)


def gather(
    result: Result, experiment: BoundExperiment, model: Any, data: Data | None = None
) -> Material:
    """Brings together what a run has written and its images.

    Args:
        experiment: The run's, bound.
        model: The trained network.
        data: The images, if they are at hand; else the experiment's dataset is asked for them.
    """
    missing = ""
    if data is None:
        data, missing = _find_data(result, experiment)
    return Material(
        result,
        experiment,
        test=calibrated_predictions(result),
        as_trained=calibrated_predictions(result.uncalibrated),
        data=data,
        missing=missing,
        model=model,
    )


def _find_data(result: Result, experiment: BoundExperiment) -> tuple[Data | None, str]:
    """The images of a run, or why there are none."""
    try:
        data = load_data(experiment, Observer())
    except (KerascnnError, OSError) as error:
        return None, str(error)
    changed = [name for name, packed in data.splits().items() if _differs(packed, result, name)]
    if changed:
        return None, f"the images to {' and '.join(changed)} are others than those of the run."
    return data, ""


def _differs(packed: Packed, result: Result, split: str) -> bool:
    return packed.fingerprint != result.data[split]["fingerprint"]


def calibrated_predictions(result: Result) -> Predictions:
    """The predictions of the test images, with the probabilities that `predict` gives of them."""
    read = read_predictions(result.folder / PREDICTIONS, result.class_names)
    return replace(read, probabilities=tempered(read.probabilities, result.temperature))
