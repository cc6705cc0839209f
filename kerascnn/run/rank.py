"""One of the processes that train a run together, and write nothing: see `run.processes`."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.on_torch import TorchDevices
from kerascnn.engine.training.stage import fit_stage
from kerascnn.engine.training.variables import assign, set_random_state
from kerascnn.errors import RunError
from kerascnn.experiment.bound import BoundExperiment


@dataclass(frozen=True)
class Job:
    """What a process takes part in.

    Args:
        experiment: For one device.
        images: The keys of the training and of the validation images.
        rank: Of the process, from 1.
        count: The number of processes.
        store: A file for them to find each other.
    """

    experiment: BoundExperiment
    images: tuple[str, str]
    rank: int
    count: int
    store: str


@dataclass(frozen=True)
class Stage:
    """A stage to train.

    Args:
        index: From 0.
        network: The values of all variables.
        random: The state of random generators.
        before: As for `fit_stage`.
        state: As for `fit_stage`.
    """

    index: int
    network: list[np.ndarray] = field(repr=False)
    random: State = field(repr=False)
    before: Standing | None
    state: State | None = field(repr=False)


_here: Prepared | None = None


def train(job: Job, stage: Stage) -> tuple[str, str]:
    """Trains a stage together with the other processes.

    Returns:
        The hashes of frozen weights and of what is carried forward, as in `StageResult`.
    """
    global _here
    prepared = _here = _here or _prepare(job)
    plan = prepared.plans[stage.index]
    assign(prepared.network.model.variables, stage.network)
    set_random_state(stage.random)
    result = fit_stage(
        prepared.network,
        plan,
        *prepared.examples(plan),
        stage.before,
        state=stage.state,
        devices=TorchDevices(job.count, job.rank, job.store, stage.index),
    )
    return result.frozen_sha256, result.ended_sha256


def _prepare(job: Job) -> Prepared:
    warnings.simplefilter("ignore")  # the first process shows them
    prepared = prepare_experiment(job.experiment, Observer())
    if (prepared.data.train.key, prepared.data.validation.key) != job.images:
        raise RunError("it finds other images: they have changed since the run started")
    return prepared
