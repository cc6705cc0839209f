"""Ranks architectures quickly: a linear probe on each network's features, and its cost.

Accuracy on ImageNet does not tell how well a network suits other images; the accuracy of a linear
classifier on its features tells more (Kornblith et al., Do Better ImageNet Models Transfer
Better?, arXiv 1805.08974, compare both).
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np

from kerascnn.engine.data.sources.download import NotAtHandError, without_downloads
from kerascnn.engine.observer import Observer, Only, default_observer
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.run.experiment import run_experiment
from kerascnn.runtime.arguments import as_list, expect_count
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.commands import command
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import abbreviated, counted
from kerascnn.studies.features.images import load_images, require_every_fold
from kerascnn.studies.probe.network import probe_network, with_architecture
from kerascnn.studies.probe.result import ProbedNetwork, ProbeResult, probe_figure, ranked
from kerascnn.studies.record import record

Probed = tuple[ProbedNetwork, np.ndarray]
ALL_LOCAL = "all-local"
NAMED = 8  # architectures to download


@contained()
def probe_architectures(
    experiment: BoundExperiment,
    architectures: str | Iterable[str],
    observer: Observer | None = None,
) -> ProbeResult:
    """Ranks architectures on the training and validation images of an experiment.

    Args:
        experiment: From `load_experiment`; its own architecture is probed only if named.
        architectures: One or more names; `NAME:WEIGHTS` selects the weights, such as
            "resnet50:none" for random ones; "all-local" selects all whose weights are local.
        observer: Receives progress events; default prints them on standard error; `Observer()`
            shows nothing.

    Raises:
        InputError: No architecture can be probed, or the experiment is at fault.
    """
    check_experiment(experiment)
    architectures = as_list(architectures, str, "architectures")
    if not architectures:
        raise _none_to_probe()
    observer = observer or default_observer()
    select_backend(experiment.training.backend)
    named = dict.fromkeys(name for name in architectures if name != ALL_LOCAL)
    listed = experiment.registry.of_kind("architecture") if ALL_LOCAL in architectures else ()
    names = (known.component.name for known in listed if not known.component.trained)
    others = [name for name in names if name not in named]
    experiments = {name: with_architecture(experiment, name) for name in named}
    images = load_images(experiment, observer)
    require_every_fold(images, "a probe")
    warned = cache(observer.warned)
    heard = Only(download=observer.download, progress=observer.progress, warned=warned)
    probe = partial(probe_network, images=images, observer=heard)
    networks, refusals = list[Probed](), list[InputError]()
    for name, chosen in experiments.items():
        try:
            networks.append(probe(name, chosen))
        except InputError as error:
            refusals.append(error)
            warned(f"{name} is skipped: {error}")
    absent: dict[str, NotAtHandError] = {}
    for name in others:
        networks += _probe_if_local(name, experiment, probe, warned, absent)
    if absent:
        warned(_downloadable(absent))
    if not networks:
        raise refusals[0] if refusals else _none_to_probe()
    return _record(experiment, networks, observer)


def _none_to_probe() -> InputError:
    listing = command("plugins", "list", "--kind", "architecture")
    return InputError(f"no architectures to probe; `{listing}` lists them.")


def _downloadable(absent: Mapping[str, NotAtHandError]) -> str:
    """Names the architectures whose weights are not local, the smallest first."""
    ordered = sorted(absent, key=lambda name: absent[name].about_bytes or sys.maxsize)
    named = [
        f"{name} ({gigabytes(size)})" if (size := absent[name].about_bytes) else name
        for name in ordered
    ]
    return (
        f"not probed, because their weights are not downloaded: {abbreviated(named, NAMED)}. "
        f"Name them to download them: --architectures {','.join(ordered[:2])}."
    )


def _probe_if_local(
    name: str,
    experiment: BoundExperiment,
    probe: Callable[[str, BoundExperiment], Probed],
    warned: Callable[[str], None],
    absent: dict[str, NotAtHandError],
) -> Iterator[Probed]:
    """Probes an architecture with its default weights; or adds it to `absent`."""
    registered = experiment.registry.get("architecture", name)
    if registered.weights(experiment.training.image_size) is None:
        return
    try:
        with without_downloads():
            yield probe(name, with_architecture(experiment, name))
    except NotAtHandError as error:
        absent[name] = error
    except InputError as error:
        warned(f"{name} is skipped: {error}")


def _record(experiment: BoundExperiment, networks: list[Probed], observer: Observer) -> ProbeResult:
    """Records the probe as a run, the parent of promoted runs."""

    def result(run_id: str, folder: Path) -> ProbeResult:
        return ProbeResult(
            run_id=run_id,
            name=experiment.name,
            device=device_name(),
            networks=ranked(networks),
            artifacts=str(folder),
        )

    return record(
        experiment.name,
        f"probe of {counted(len(networks), 'network')}",
        "probe",
        result,
        lambda done: probe_figure(done.networks),
        lambda done: {"probed_networks": len(done.networks)},
        observer,
    )


@contained()
def promote(
    experiment: BoundExperiment, probed: ProbeResult, count: int, observer: Observer | None = None
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
