"""Prepares an experiment for training: loads and checks data, builds the network, plans stages."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import kerascnn
from kerascnn.engine.data.hygiene.findings import Examination
from kerascnn.engine.data.sources.download import reporting
from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.kept import Kept
from kerascnn.engine.load import examine, load_data, trained_on
from kerascnn.engine.metrics.named import build_metrics, try_metrics
from kerascnn.engine.network.build import Built, build_network
from kerascnn.engine.network.loadable import require_loadable
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.batch_size import with_batch_size
from kerascnn.engine.training.devices.devices import require_equal_parts, require_losses_add_up
from kerascnn.engine.training.devices.group import Group
from kerascnn.engine.training.plan import Plan, plan_stage
from kerascnn.engine.training.variables import values
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.training import AUTO
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.commands import setting
from kerascnn.runtime.determinism import make_reproducible
from kerascnn.runtime.devices import devices_name, used_devices
from kerascnn.runtime.openvino import require_openvino
from kerascnn.runtime.process import set_objects_aside

_ONE_PROCESS = (
    'training.batch_size = "auto" is measured in one process, and a run in several (cluster) needs '
    "a number: that which a run in one process has found is in its experiment."
)
_ONE_DEVICE = (
    "the images of this study are divided in this process alone, so that PyTorch, which trains in "
    "one process per device, cannot use several: set training.devices = 1, or use the backend jax."
)


def prepare_experiment(
    experiment: BoundExperiment,
    observer: Observer,
    kept: Kept | None = None,
    data: Data | None = None,
    group: Group | None = None,
) -> Prepared:
    """Loads, checks and builds; seeds the process and starts the experiment's backend.

    Args:
        kept: Has what experiments before loaded and built with it; default nothing.
        data: The images; default those of the experiment's dataset.
        group: The processes that train it together; default this one, and those that it starts.
    """
    kept = kept or Kept()
    with reporting(observer.download):
        if experiment.training.prefix_engine == "openvino":
            require_openvino()
        backend = start_backend(experiment.training.backend)
        set_objects_aside()
        make_reproducible(experiment.seed, experiment.training.precision)
        devices = _devices(experiment, group)
        if data and devices > 1 and backend == "torch":
            raise InputError(_ONE_DEVICE)
        observer.started(experiment.name, backend, devices_name(devices))
        data = data or load_data(experiment, observer, kept)
        examination = examine(data, experiment, observer, kept)
        data = trained_on(data, experiment, kept)
    return prepare_network(experiment, data, examination, observer, kept, group)


def prepare_network(
    experiment: BoundExperiment,
    data: Data,
    examination: Examination,
    observer: Observer,
    kept: Kept | None = None,
    group: Group | None = None,
) -> Prepared:
    """Builds an experiment's network for its loaded data, and plans the stages.

    The backend is started, and the process seeded.
    """
    kept = kept or Kept()
    if group and experiment.training.batch_size == AUTO:
        raise InputError(_ONE_PROCESS)
    teacher = kerascnn.load_teacher(experiment, data, observer)
    start = kerascnn.warm_start(experiment, data, observer)
    with reporting(observer.download):
        metrics = build_metrics(experiment.metrics, data.class_names)
        try_metrics(metrics, data.validation.labels, len(data.class_names))
        decides = _decides(experiment, len(data.class_names), start)
        network = _network(experiment, len(data.class_names), kept, start, decides)
        progress = partial(observer.progress, "measuring the batch size")
        devices = _devices(experiment, group)
        experiment = with_batch_size(experiment, network, data, devices, decides, progress)
        plans = tuple(
            plan_stage(experiment, index, network, data, metrics, teacher)
            for index in range(len(experiment.stages))
        )
    require_losses_add_up(network.model, devices)
    for plan in plans:
        require_equal_parts(plan, devices)
    for note in () if start else _never_trained(network, plans):
        observer.warned(note)
    backend = select_backend(experiment.training.backend)
    prepared = Prepared(
        experiment, backend, data, examination, network, plans, metrics, devices, group=group
    )
    changing = prepared.changed_by(len(plans))
    built = values(changing)
    kept.about_to_train(network, zip(changing, built, strict=True))
    return replace(prepared, built=built)


def _devices(experiment: BoundExperiment, group: Group | None) -> int:
    """The number of devices of all processes."""
    return used_devices(experiment.training.devices) * (group.count if group else 1)


def _decides(experiment: BoundExperiment, classes: int, start: Any) -> list[Any]:
    """What decides the network."""
    training = experiment.training
    decides = [experiment.architecture.key, training.image_size, training.precision, classes]
    return [*decides, start.key] if start else decides


def _network(
    experiment: BoundExperiment, classes: int, kept: Kept, start: Any, decides: Sequence[Any]
) -> Built:
    architecture, training = experiment.architecture, experiment.training

    def build() -> Built:
        size = training.image_size
        network = build_network(architecture, image_size=size, num_classes=classes)
        require_loadable(network, architecture)
        if start:
            start.warm(network.model)
        return network

    return kept.build(decides, build)


def _never_trained(network: Built, plans: tuple[Plan, ...]) -> Iterator[str]:
    trained = {network.block_of[layer] for plan in plans for layer in plan.layers}
    random = [block for block in network.blocks if block not in trained]
    if random and not network.pretrained:
        named = ", ".join(random[:5]) + (", …" if len(random) > 5 else "")
        verb = "is" if len(random) == 1 else "are"
        remedy = setting(f"stages.{plans[-1].stage.name}.unfreeze", "all")
        yield f"{named} {verb} randomly initialised and never trained; {remedy} trains all blocks."
