"""Runs the best networks of a probe in full."""

from kerascnn.engine.observer import Observer
from kerascnn.engine.result import Result
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.run.runner import run_experiment
from kerascnn.runtime.arguments import expect_count
from kerascnn.runtime.process import contained
from kerascnn.studies.probe.network import with_architecture
from kerascnn.studies.probe.result import ProbeResult


@contained()
def promote(
    experiment: BoundExperiment,
    probed: ProbeResult,
    count: int,
    observer: Observer | None = None,
) -> list[Result]:
    """Runs the best networks in full, as child runs of the probe, the best one last.

    Args:
        experiment: The probed experiment.
        probed: The result of `probe_architectures`.
        count: Number of networks, at least 1.
        observer: Receives progress events; default prints them on standard error; `Observer()`
            shows nothing.

    Returns:
        The results, in the order of the probe.

    Raises:
        InputError: The stages name layers that a network does not have.
        RunError: A run failed.
    """
    check_experiment(experiment)
    expect_count(count, "count")
    chosen = [network.architecture for network in probed.networks[:count]]
    experiments = [with_architecture(experiment, name) for name in chosen]
    results = [
        run_experiment(chosen, observer, parent=probed.run_id)
        for chosen in reversed(experiments)  # so that "last" is the best
    ]
    return results[::-1]
