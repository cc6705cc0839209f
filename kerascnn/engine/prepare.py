"""Prepares an experiment for training: loads and checks data, builds the network, plans stages."""

from collections.abc import Iterator

from kerascnn.engine.data.download import reporting
from kerascnn.engine.data.findings import Examination
from kerascnn.engine.data.packed import Data
from kerascnn.engine.load import examine, load_data
from kerascnn.engine.metrics.named import build_metrics, try_metrics
from kerascnn.engine.network.build import Built, build_network
from kerascnn.engine.network.loadable import require_loadable
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.plan import Plan, plan_stage
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.commands import setting
from kerascnn.runtime.determinism import make_reproducible
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.openvino import require_openvino


def prepare_experiment(experiment: BoundExperiment, observer: Observer) -> Prepared:
    """Loads, checks and builds; seeds the process and starts the experiment's backend."""
    with reporting(observer.download):
        if experiment.training.prefix_engine == "openvino":
            require_openvino()
        backend = start_backend(experiment.training.backend)
        make_reproducible(experiment.seed, experiment.training.precision)
        observer.started(experiment.name, backend, device_name())
        data = load_data(experiment, observer)
        examination = examine(data, experiment, observer)
    return prepare_network(experiment, data, examination, observer)


def prepare_network(
    experiment: BoundExperiment, data: Data, examination: Examination, observer: Observer
) -> Prepared:
    """Builds an experiment's network for its loaded data, and plans the stages.

    The backend is started, and the process seeded.
    """
    with reporting(observer.download):
        metrics = build_metrics(experiment.metrics, data.class_names)
        try_metrics(metrics, data.validation.labels, len(data.class_names))
        network = build_network(
            experiment.architecture,
            image_size=experiment.training.image_size,
            num_classes=len(data.class_names),
        )
        require_loadable(network, experiment.architecture)
        plans = tuple(
            plan_stage(experiment, index, network, data, metrics)
            for index in range(len(experiment.stages))
        )
    for note in _never_trained(network, plans):
        observer.warned(note)
    backend = select_backend(experiment.training.backend)
    return Prepared(experiment, backend, data, examination, network, plans, metrics)


def _never_trained(network: Built, plans: tuple[Plan, ...]) -> Iterator[str]:
    trained = {network.block_of[layer] for plan in plans for layer in plan.layers}
    random = [block for block in network.blocks if block not in trained]
    if random and not network.pretrained:
        named = ", ".join(random[:5]) + (", …" if len(random) > 5 else "")
        verb = "is" if len(random) == 1 else "are"
        remedy = setting(f"stages.{plans[-1].stage.name}.unfreeze", "all")
        yield f"{named} {verb} randomly initialised and never trained; {remedy} trains all blocks."
