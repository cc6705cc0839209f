"""Runs an experiment: in this process, or in those of its `[cluster]`."""

from typing import Literal

from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.result.run import Result
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.run.cluster.cluster import run_on_cluster
from kerascnn.run.cluster.member import Asked
from kerascnn.run.runner import run_in
from kerascnn.run.session import Session


def run_experiment(
    experiment: BoundExperiment,
    observer: Observer | None = None,
    *,
    parent: str | None = None,
    resume: str | None = None,
    fresh: bool = False,
    devices: int | Literal["all"] | None = None,
    workers: int | None = None,
) -> Result:
    """Runs an experiment from its images to a tracked, evaluated and saved model.

    Args:
        experiment: From `load_experiment`.
        observer: Receives the events, besides the experiment's observers; default prints them on
            standard error; `Observer()` shows nothing.
        parent: The id of the run to show this one under on MLflow's page; default none.
        resume: The id of an unfinished run to resume exactly, a prefix of it, or "last"; default a
            new run.
        fresh: Train every stage, even one that an earlier run has trained with the same outcome.
        devices: The number of devices to train on; default the experiment's. A run resumes on
            another number only if this or `workers` is given: the rest is then equal up to
            rounding.
        workers: The number of processes to train in; default that of the experiment's `[cluster]`.

    Returns:
        The result; its `model` loads the trained network. Of the processes that a launcher has
        started, only the first returns: the others end here when all stages are trained.

    Raises:
        InputError: The experiment, its data or its packages are at fault, or differ from those of
            the run to resume.
        RunError: A check failed, training failed, or one of several processes was lost.
    """
    check_experiment(experiment)
    given = {"training.devices": devices, "cluster.workers": workers}
    moved = {key: value for key, value in given.items() if value is not None}
    experiment = experiment.with_overrides(moved) if moved else experiment
    asked = Asked(parent, resume, fresh, move=bool(moved))
    observer = observer or default_observer()
    if experiment.settings.cluster:
        return run_on_cluster(experiment, observer, asked)
    with Session() as session:
        return run_in(session, experiment, observer, **vars(asked))
