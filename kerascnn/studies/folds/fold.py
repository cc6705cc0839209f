"""Trains and tests one fold; what it ends with is found again by a study that resumes."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kerascnn.engine.data.splits.folds import Folds
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.folds import FoldTable
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.run.result.record import record_trial
from kerascnn.run.result.result import Evaluated, evaluate
from kerascnn.run.session import Session
from kerascnn.run.stages.checkpointer import Checkpointer
from kerascnn.run.stages.stages import fit_stages
from kerascnn.run.stages.store import StageStore
from kerascnn.runtime.files import whole_file, write_whole
from kerascnn.runtime.interruption import Interruption
from kerascnn.tracking.journal import FOLDS, JOURNAL
from kerascnn.tracking.trial_tracker import TrialTracker

FOLD, PROBABILITIES = "fold.json", "probabilities.npy"


@dataclass(frozen=True)
class DoneFold:
    """What a fold ends with.

    Args:
        probabilities: Calibrated, of the images that it tests: float32 [M, K].
        parameters: Number of weights of its network.
    """

    table: FoldTable
    probabilities: np.ndarray
    parameters: int

    @classmethod
    def read(cls, folder: Path) -> "DoneFold | None":
        """That of a folder; None if it is not done."""
        if not (folder / FOLD).is_file():
            return None
        done = json.loads((folder / FOLD).read_text("utf-8"))
        return cls(**done, probabilities=np.load(folder / PROBABILITIES))

    def write(self, folder: Path) -> None:
        with whole_file(folder / PROBABILITIES) as new, new.open("wb") as file:
            np.save(file, self.probabilities)
        done = {name: value for name, value in asdict(self).items() if name != "probabilities"}
        write_whole(folder / FOLD, json.dumps(done, indent=2))


def folder_of_fold(study: Path, repeat: int, fold: int) -> Path:
    """Where a fold's run is, in the folder of the study; both are counted from 1."""
    return study / FOLDS / f"{repeat}-{fold}"


def run_fold(
    experiment: BoundExperiment,
    folds: Folds,
    fold: int,
    observer: Observer,
    *,
    session: Session,
    folder: Path,
    name: str,
    parent: str,
) -> DoneFold:
    """Trains on the other folds and tests the images of one; resumes what has begun.

    It has a run on MLflow's page, but neither report nor model.

    Args:
        fold: Its index.
        observer: Receives the events up to the last `stage_ended`.
        folder: For its journal, checkpoints and probabilities.
        name: Of its run.
        parent: The id of the study's run.
    """
    start = time.perf_counter()
    tracker = TrialTracker(
        session.uploads,
        experiment.name,
        name,
        folder,
        parent=parent,
        resume=(folder / JOURNAL).is_file(),
    )
    with tracker:
        prepared = session.prepare(experiment, observer, folds.data(fold))
        run_id = tracker.open()
        with Interruption() as interruption:
            checkpointer = Checkpointer(prepared, folder, observer, interruption, start)
            store = StageStore(prepared, observer.warned, run=run_id)
            if not checkpointer.restore():
                record_trial(tracker, prepared, folder)
            fit_stages(prepared, tracker, observer, checkpointer, store)
            evaluated = evaluate(prepared, observer.warned)
        test, epochs = evaluated.test, sum(stage.epochs for stage in checkpointer.results)
        tracker.metrics({"test_accuracy": test.accuracy, "test_loss": test.loss}, step=epochs)
    tested = _tested(prepared, checkpointer, evaluated, folds.number + 1, fold + 1, run_id)
    tested.write(folder)
    checkpointer.remove()
    return tested


def _tested(
    prepared: Prepared,
    checkpointer: Checkpointer,
    evaluated: Evaluated,
    repeat: int,
    fold: int,
    run_id: str,
) -> DoneFold:
    stages, test = checkpointer.results, evaluated.test
    table = FoldTable(
        repeat=repeat,
        fold=fold,
        accuracy=test.accuracy,
        interval=list(test.interval),
        images=test.images,
        run_id=run_id,
        temperature=evaluated.temperature,
        epochs=sum(stage.epochs for stage in stages),
        seconds=checkpointer.seconds,
        prefix_seconds=sum(stage.prefix_seconds for stage in stages),
        rows_made=sum(stage.cached.made for stage in stages),
    )
    calibrated = tempered(evaluated.probabilities["test"], evaluated.temperature)
    return DoneFold(table, calibrated.astype(np.float32), prepared.network.parameters())
