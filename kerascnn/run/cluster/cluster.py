"""A run in several processes: those of a launcher, or those that an engine starts and watches."""

import sys
from dataclasses import replace

from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.hookspecs import Launched
from kerascnn.run.cluster.member import Asked, begun_before, take_part, token_of
from kerascnn.run.cluster.supervised import Supervised
from kerascnn.run.placing import bind_engine, opened
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.process import contained


@contained()
def run_on_cluster(experiment: BoundExperiment, observer: Observer, asked: Asked) -> Result:
    """Runs an experiment in the processes of its `[cluster]`."""
    cluster = experiment.settings.cluster
    assert cluster
    _check_backend(experiment)
    bound = bind_engine(cluster.engine)
    with opened(bound, cluster.workers) as engine:
        if not isinstance(engine, Launched):
            return Supervised(engine, experiment, observer, asked).run()
        if engine.attempt and engine.rank == 0 and not asked.resume:
            asked = replace(asked, resume=begun_before(experiment))
        result = take_part(engine, token_of(experiment, engine), experiment, observer, asked)
    if result is None:
        sys.exit(0)
    return result


def _check_backend(experiment: BoundExperiment) -> None:
    backend = select_backend(experiment.training.backend)
    if backend == "tensorflow":
        raise InputError(
            "[cluster]: TensorFlow trains in one process; the backends jax and torch train in "
            "several."
        )
    if backend == "torch" and experiment.training.devices != 1:
        raise InputError(
            f"training.devices = {experiment.training.devices}: with [cluster], PyTorch trains on "
            "one device in each process. Set cluster.workers to the number of devices instead."
        )
