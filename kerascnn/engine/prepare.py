"""Everything before the first step: data loaded and checked, network built, stages planned."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.components.registry import Registry
from kerascnn.engine.data.augment import augmenter
from kerascnn.engine.data.download import reporting
from kerascnn.engine.data.splits import Data
from kerascnn.engine.load import load_data
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import Built, build_network
from kerascnn.engine.network.freezing import count_trainable, set_trainable, trainable_layers
from kerascnn.engine.network.unfreeze import select
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.inputs import choose
from kerascnn.engine.training.memory import memory_bytes, shortage
from kerascnn.engine.training.optimizers import make_optimizer
from kerascnn.engine.training.plan import Plan
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.load import bind
from kerascnn.experiment.model import Experiment, Stage, Training
from kerascnn.hookspecs import Augmentation
from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.cache import limit_bytes
from kerascnn.runtime.commands import setting
from kerascnn.runtime.determinism import make_reproducible
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.files import GB

NO_AUGMENTATION = "none"


def prepare(experiment: Experiment, registry: Registry, observer: Observer) -> Prepared:
    """Loads, checks and builds; leaves the process seeded and on the experiment's backend."""
    with reporting(observer.download):
        return _prepare(experiment, registry, observer)


def _prepare(experiment: Experiment, registry: Registry, observer: Observer) -> Prepared:
    training = experiment.training
    backend = start_backend(training.backend)
    make_reproducible(experiment.seed, training.precision)
    observer.started(experiment.name, backend, device_name())
    data = load_data(experiment, registry, observer)
    network = build_network(
        bind(experiment.architecture, "architecture", registry),
        image_size=training.image_size,
        num_classes=len(data.class_names),
    )
    plans = tuple(
        plan_stage(experiment, stage, index, registry, network, data)
        for index, stage in enumerate(experiment.stages)
    )
    for note in _never_trained(network, plans):
        observer.warned(note)
    return Prepared(
        experiment,
        backend,
        data,
        network,
        plans=plans,
        plugins=_origins(experiment, registry),
    )


def _never_trained(network: Built, plans: tuple[Plan, ...]) -> Iterator[str]:
    trained = {network.block_of[layer] for plan in plans for layer in plan.layers}
    random = [block for block in network.blocks if block not in trained]
    if random and not network.pretrained:
        named = ", ".join(random[:5]) + (", …" if len(random) > 5 else "")
        remedy = setting(f"stages.{plans[-1].stage.name}.unfreeze", "all")
        yield f"no stage trains {named}, which are randomly initialised; {remedy} does."


def plan_stage(
    experiment: Experiment,
    stage: Stage,
    index: int,
    registry: Registry,
    network: Built,
    data: Data,
) -> Plan:
    """Resolves what a stage's settings name: layers, schedule, augmentation, class weights."""
    images_a_class, training = len(data.train) / len(data.class_names), experiment.training
    try:
        trainable = select(network, stage.unfreeze, images_a_class)
        make_optimizer(  # its faults belong to the input
            stage.optimizer,
            stage.learning_rate,
            weight_decay=stage.weight_decay,
            clip_norm=stage.clip_norm,
        )
    except InputError as error:
        raise InputError(f'stage "{stage.name}": {error}') from error
    schedule = bind(stage.schedule, "schedule", registry)
    return Plan(
        stage=stage,
        index=index,
        layers=trainable.layers,
        batchnorm=stage.batchnorm or ("frozen" if network.pretrained else "train"),
        batch_size=experiment.batch_size_of(stage),
        schedule=schedule.build,
        **augmentation(experiment, stage, index, registry, len(data.class_names)),
        class_weights=class_weights(stage, data),
        seed=experiment.seed,
        keep=training.keep,
        built_by=registry.get("architecture", experiment.architecture.name).component.build,
        activation_bytes=_activation_bytes(training),
        prefix_precision=training.prefix_precision,
        choice=trainable.choice,
    )


def augmentation(
    experiment: Experiment, stage: Stage, index: int, registry: Registry, classes: int
) -> dict[str, Any]:
    """What a plan says of augmentation."""
    choice, size = experiment.augmentation_of(stage), experiment.training.image_size
    bound = bind(choice, "augmentation", registry)
    if choice.name == NO_AUGMENTATION and bound.params == type(bound.params)():
        return {}
    policy = bound.build(image_size=size, num_classes=classes)
    return {
        "augment": augmenter(policy, (experiment.seed, index), size),
        # a Keras layer draws by itself: what it drew cannot be had again
        "augmentation_key": bound.key if isinstance(policy, Augmentation) else "",
    }


def _activation_bytes(training: Training) -> int:
    if training.activations_gb is None:
        return limit_bytes() // 4
    return int(training.activations_gb * GB)


def class_weights(stage: Stage, data: Data) -> np.ndarray | None:
    """The weight of each class in the loss, float32 [K]; "balanced" gives all the same sum."""
    if stage.class_weights is None:
        return None
    names = data.class_names
    counts = np.bincount(data.train.labels, minlength=len(names))
    if stage.class_weights == "balanced":
        return (len(data.train) / (len(names) * np.maximum(counts, 1))).astype(np.float32)
    for name in stage.class_weights:
        if name not in names:
            raise InputError(
                f'stage "{stage.name}": class_weights: there is no class "{name}".'
                f"{did_you_mean(name, names)} The classes are {', '.join(names[:20])}."
            )
    return np.array([stage.class_weights.get(name, 1.0) for name in names], np.float32)


def _origins(experiment: Experiment, registry: Registry) -> dict[str, str]:
    chosen = [
        ("dataset", experiment.dataset.name),
        ("architecture", experiment.architecture.name),
        *(("augmentation", experiment.augmentation_of(s).name) for s in experiment.stages),
        *(("schedule", stage.schedule.name) for stage in experiment.stages),
    ]
    return {f"{kind} {name}": str(registry.get(kind, name).origin) for kind, name in chosen}


@dataclass(frozen=True)
class StageCheck:
    """What a stage would do: for `kerascnn check`."""

    name: str
    unfreeze: str
    epochs: int
    steps: int
    trainable_parameters: int
    trainable_layers: list[str]
    boundary: str
    frozen_part: str
    memory_bytes: int
    shortage: str | None


def check_stages(prepared: Prepared) -> Iterator[StageCheck]:
    """Sets each stage's trainable layers in turn and tells what follows from them."""
    model = prepared.network.model
    for plan in prepared.plans:
        set_trainable(model, plan.layers, plan.batchnorm)
        parts = cut(model)
        total = plan.views * len(prepared.data.train) + len(prepared.data.validation)
        batch = min(plan.batch_size, len(prepared.data.train))
        yield StageCheck(
            name=plan.stage.name,
            unfreeze=plan.choice,
            epochs=plan.stage.epochs,
            steps=-(-len(prepared.data.train) // plan.batch_size),
            trainable_parameters=count_trainable(model),
            trainable_layers=trainable_layers(model),
            boundary=parts.boundary,
            frozen_part=choose(parts, plan, total)[1],
            memory_bytes=memory_bytes(model, parts.suffix, batch),
            shortage=shortage(model, parts.suffix, batch),
        )
