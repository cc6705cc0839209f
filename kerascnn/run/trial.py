"""A trial: an experiment's stages, judged on the validation images while they train."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.events import overview
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.run.observing import told
from kerascnn.run.result.look import Look, look_back
from kerascnn.run.result.record import record_trial
from kerascnn.run.result.result import history_of
from kerascnn.run.session import Session
from kerascnn.run.stages.checkpointer import Checkpointer
from kerascnn.run.stages.stages import fit_stages
from kerascnn.run.stages.store import StageStore
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.process import contained
from kerascnn.tracking.journal import JOURNAL
from kerascnn.tracking.trial_tracker import TrialTracker

VALIDATION, LABELS = "validation.npy", "labels.npy"


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Args:
        folder: Where `validation.npy` and `labels.npy` have the final look's arrays.
        run_id: The run's id in kerascnn; `kerascnn.run` is the tag on MLflow.
        seconds: From its start, including earlier processes.
        stages: Those that began.
        history: One table per epoch, as in `Result.history`.
        look: At the weights that it ends with.
        pruned: Why it was pruned; "" if it was not.
    """

    folder: Path
    run_id: str
    seconds: float
    stages: list[StageResult]
    history: list[dict[str, Any]]
    look: Look
    pruned: str


@contained()
def run_trial(
    experiment: BoundExperiment,
    observer: Observer,
    *,
    session: Session,
    folder: Path,
    name: str = "",
    parent: str | None = None,
    judge: Callable[[Look], str] = lambda look: "",
    resume: bool = False,
) -> TrialResult:
    """Trains an experiment's stages, or takes those that are stored.

    It never reads the test images, and has no report and no model. The experiment's own observers
    receive nothing.

    Args:
        observer: Receives the events up to the last `stage_ended`, and `failed` or `interrupted`.
        folder: For its journal, checkpoints and predictions; a new one, unless it resumes.
        name: Of its run on MLflow's page; default the name of the folder.
        parent: The id of the run to show it under; default none.
        judge: Returns why the trial is to be pruned, or "". It is asked after each epoch; of a
            stage that an earlier run has trained once, about the weights that it ended with.
        resume: Continue from the folder's last checkpoint, in the same run, if there is one.

    Raises:
        InputError: The experiment or its data are at fault, or differ from those to resume.
        RunError: A check failed, or training failed.
    """
    start = time.perf_counter()
    select_backend(experiment.training.backend)
    tracker = TrialTracker(
        session.uploads,
        experiment.name,
        name or folder.name,
        folder,
        parent=parent,
        resume=resume and (folder / JOURNAL).is_file(),
    )
    with told(observer), session.attempt(), tracker:
        prepared = session.prepare(experiment, observer)
        observer.prepared(overview(prepared))
        run_id = tracker.open()
        observer.tracked(run_id, tracker.store, str(folder))
        with Interruption() as interruption:
            checkpointer = Checkpointer(prepared, folder, observer, interruption, start, judge)
            store = StageStore(prepared, observer.warned, run=run_id)
            if not checkpointer.restore():
                record_trial(tracker, prepared, folder)
            fit_stages(prepared, tracker, observer, checkpointer, store)
            result = _ended(prepared, folder, run_id, checkpointer)
        if result.pruned:
            tracker.prune(result.pruned)
    checkpointer.remove()
    return result


def _ended(
    prepared: Prepared, folder: Path, run_id: str, checkpointer: Checkpointer
) -> TrialResult:
    look = look_back(prepared, checkpointer.results)
    np.save(folder / VALIDATION, look.probabilities)
    np.save(folder / LABELS, look.labels)
    return TrialResult(
        folder=folder,
        run_id=run_id,
        seconds=checkpointer.seconds,
        stages=checkpointer.results,
        history=history_of(checkpointer.results),
        look=look,
        pruned=checkpointer.pruned,
    )
