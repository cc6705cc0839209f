"""What a report tells of, brought together from a run's folder and its pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascnn.config import parse_experiment
from kerascnn.data.store import Packed
from kerascnn.data.windows import Centred
from kerascnn.errors import KerascnnError
from kerascnn.experiment import Experiment
from kerascnn.observer import Observer
from kerascnn.plugins import Registry
from kerascnn.predictions import Predictions, read_predictions
from kerascnn.prepare import Data, load_data
from kerascnn.runs import PREDICTIONS, VALIDATION_PREDICTIONS, Result


@dataclass(frozen=True)
class Material:
    """All that a report tells of.

    Args:
        test: What the network said of the test pictures.
        validation: The same of the validation pictures; None where the run did not write it.
        data: The pictures; None where they are gone.
        missing: Why they are, in a sentence; "" where they are not.
        model: The trained network.
    """

    result: Result
    experiment: Experiment
    registry: Registry
    test: Predictions
    validation: Predictions | None
    data: Data | None
    missing: str
    model: Any

    def pictures(self, split: str = "test") -> Centred | None:
        """The pictures of a split as the network takes them, uint8 [N, S, S, 3]."""
        if self.data is None:
            return None
        return Centred(self.data.splits()[split].images, self.experiment.training.image_size)


def gather(result: Result, registry: Registry, model: Any, data: Data | None = None) -> Material:
    """Brings together what a run has written and its pictures.

    Args:
        model: The trained network.
        data: The pictures, if they are at hand; else the experiment's dataset is asked for them.
    """
    experiment = parse_experiment(result.experiment, registry)
    missing = ""
    if data is None:
        data, missing = _find_data(result, experiment, registry)
    return Material(
        result,
        experiment,
        registry,
        test=read_predictions(result.folder / PREDICTIONS, result.class_names),
        validation=_if_there(result.folder / VALIDATION_PREDICTIONS, result.class_names),
        data=data,
        missing=missing,
        model=model,
    )


def _find_data(
    result: Result, experiment: Experiment, registry: Registry
) -> tuple[Data | None, str]:
    """The pictures of a run, or why there are none."""
    try:
        data = load_data(experiment, registry, Observer())
    except (KerascnnError, OSError) as error:
        return None, str(error)
    changed = [name for name, packed in data.splits().items() if _differs(packed, result, name)]
    if changed:
        return None, f"the pictures to {' and '.join(changed)} are others than those of the run."
    return data, ""


def _differs(packed: Packed, result: Result, split: str) -> bool:
    return packed.fingerprint != result.data[split]["fingerprint"]


def _if_there(file: Path, class_names: list[str]) -> Predictions | None:
    return read_predictions(file, class_names) if file.is_file() else None
