"""A worker: a process that imports Keras once and runs one trial after another."""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from kerascnn.run.session import Session
from kerascnn.studies.sweep.trials.drawing import more, sampler_of
from kerascnn.studies.sweep.trials.marks import board_of
from kerascnn.studies.sweep.trials.pruning import judge_of, optuna_pruner
from kerascnn.studies.sweep.trials.storage import open_study
from kerascnn.studies.sweep.trials.stored import CLASSES, stored_plan
from kerascnn.studies.sweep.workers.objective import Objective
from kerascnn.studies.sweep.workers.shared import Shared


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Args:
        address: Of the storage.
        study: The sweep's id.
        folder: The sweep's folder.
        worker: The worker's name.
        until: The time, as of `time.time`, after which no trial begins; None for no limit.
        shared: What it must find.
    """

    address: str
    study: str
    folder: Path
    worker: str
    until: float | None
    shared: Shared


def work(job: Job) -> str:
    """Runs trials until all have begun; returns why it cannot, or ""."""
    if obstacle := job.shared.obstacle():
        return obstacle
    warnings.simplefilter("ignore")  # in a process of its own; what matters is in the outcome
    study = open_study(job.address, job.study)
    planned = stored_plan(study)
    study.sampler = sampler_of(planned, study)
    study.pruner = optuna_pruner(planned)
    with Session() as session:
        board = board_of(planned, study.user_attrs[CLASSES], job.folder)
        judge = judge_of(planned, board)
        objective = Objective(
            planned, study, job.folder, job.study, job.worker, session, board, judge
        )
        while _in_time(job) and more(planned, study.get_trials(deepcopy=False)):
            study.optimize(objective, n_trials=1, catch=(Exception,))
    return ""


def _in_time(job: Job) -> bool:
    return job.until is None or time.time() < job.until
