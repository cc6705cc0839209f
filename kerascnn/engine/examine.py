"""Examines loaded data: duplicates, conflicting labels, and classes with too few images."""

import hashlib

from kerascnn.engine.data.balance import shortages
from kerascnn.engine.data.findings import Examination
from kerascnn.engine.data.hygiene import findings_in
from kerascnn.engine.data.splits import Data
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import BoundExperiment


def examine(data: Data, experiment: BoundExperiment, observer: Observer) -> Examination:
    """Examines the data of an experiment and reports what is noted to the observer.

    Near duplicates, which take longest to find, are searched once per process and pair of splits.
    """
    findings = findings_in(data.splits(), data.class_names, data.ignored)
    scarce = shortages(
        data.class_counts(),
        data.class_names,
        [stage.name for stage in experiment.stages],
        weighted=any(stage.class_weights is not None for stage in experiment.settings.stages),
        batch_size=max(stage.batch_size for stage in experiment.stages),
    )
    notes = (*findings.notes(), *scarce)
    observer.data_noted(notes, _state(data, notes))
    return Examination(findings, notes)


def _state(data: Data, notes: tuple[str, ...]) -> str:
    """SHA-256 of the data and of the notes on them."""
    parts = [*(split.fingerprint for split in data.splits().values()), *notes]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
