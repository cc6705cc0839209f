"""Everything before the first step: data loaded and checked, network built, stages planned."""

import hashlib
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.components.registry import Registry
from kerascnn.engine.data.augment import augmenter
from kerascnn.engine.data.balance import shortages
from kerascnn.engine.data.batches import Examples
from kerascnn.engine.data.download import reporting
from kerascnn.engine.data.hygiene import Findings, copies, examine
from kerascnn.engine.data.packed import Packed
from kerascnn.engine.data.store import BadPicturesError, pack
from kerascnn.engine.data.windows import Centred, packed_size
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import Built, build_network
from kerascnn.engine.network.freezing import count_trainable, set_trainable, trainable_layers
from kerascnn.engine.network.unfreeze import select
from kerascnn.engine.training.inputs import choose
from kerascnn.engine.training.memory import memory_bytes, shortage
from kerascnn.engine.training.optimizers import make_optimizer
from kerascnn.engine.training.plan import Plan
from kerascnn.errors import InputError, PluginError, did_you_mean
from kerascnn.experiment.load import bind
from kerascnn.experiment.model import Experiment, Stage, Training
from kerascnn.hookspecs import Augmentation, Splits
from kerascnn.run.observer import Observer
from kerascnn.runtime import backend as runtime
from kerascnn.runtime.cache import limit_bytes
from kerascnn.runtime.commands import setting
from kerascnn.runtime.files import GB

NO_AUGMENTATION = "none"


@dataclass(frozen=True)
class Data:
    """The packed splits, their classes, and what was noted about them."""

    train: Packed
    validation: Packed
    test: Packed
    class_names: tuple[str, ...]
    seconds: float
    findings: Findings
    notes: tuple[str, ...]

    def class_counts(self) -> dict[str, np.ndarray]:
        """The images of each class in each split: int64 [K]."""
        return count_classes(self.splits(), self.class_names)

    def splits(self) -> dict[str, Packed]:
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class Prepared:
    """An experiment that is ready to train, and the packages that its components come from."""

    experiment: Experiment
    backend: str
    data: Data
    network: Built
    plans: tuple[Plan, ...]
    plugins: dict[str, str]

    def examples(self) -> tuple[Examples, Examples]:
        """What a stage trains on, and what it is judged by."""
        train, validation = self.data.train, self.data.validation
        centred = Centred(validation.images, self.experiment.training.image_size)
        return (
            Examples(train.images, train.labels, train.key),
            Examples(centred, validation.labels, validation.key),
        )


def prepare(experiment: Experiment, registry: Registry, observer: Observer) -> Prepared:
    """Loads, checks and builds; leaves the process seeded and on the experiment's backend."""
    with reporting(observer.download):
        return _prepare(experiment, registry, observer)


def _prepare(experiment: Experiment, registry: Registry, observer: Observer) -> Prepared:
    training = experiment.training
    backend = runtime.start(training.backend)
    runtime.prepare(experiment.seed, training.precision)
    observer.started(experiment.name, backend, runtime.device_name())
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


def load_data(experiment: Experiment, registry: Registry, observer: Observer) -> Data:
    """Packs the three splits of the experiment's dataset and checks them."""
    start = time.perf_counter()
    dataset = bind(experiment.dataset, "dataset", registry)
    splits = dataset.build(seed=experiment.seed)
    packed = _pack(splits, experiment, observer)
    class_names = _class_names(splits)
    _check_labels(packed, class_names)
    packed, findings = _examine(packed, class_names, splits.ignored, experiment.training)
    notes = (*findings.notes(), *_shortages(packed, class_names, experiment))
    observer.data_noted(notes, _state(packed, notes))
    seconds = time.perf_counter() - start
    return Data(**packed, class_names=class_names, seconds=seconds, findings=findings, notes=notes)


def _shortages(
    packed: Mapping[str, Packed], class_names: tuple[str, ...], experiment: Experiment
) -> Iterator[str]:
    return shortages(
        count_classes(packed, class_names),
        class_names,
        [stage.name for stage in experiment.stages],
        weighted=any(stage.class_weights is not None for stage in experiment.stages),
        batch_size=max(map(experiment.batch_size_of, experiment.stages)),
    )


def count_classes(
    splits: Mapping[str, Packed], class_names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The images of each class in each split: int64 [K]."""
    return {
        name: np.bincount(packed.labels, minlength=len(class_names))
        for name, packed in splits.items()
    }


def _class_names(splits: Splits) -> tuple[str, ...]:
    """The names of the classes in Unicode's form NFC, in which they are compared everywhere."""
    names = tuple(unicodedata.normalize("NFC", name) for name in splits.class_names)
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise PluginError(f'the dataset has the class "{twice}" twice; expected different names.')
    return names


def _state(packed: Mapping[str, Packed], notes: tuple[str, ...]) -> str:
    """SHA-256 of the data and of what there is to note about them."""
    parts = [*(split.fingerprint for split in packed.values()), *notes]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _pack(splits: Splits, experiment: Experiment, observer: Observer) -> dict[str, Packed]:
    """Packs the splits; all pictures that cannot be read are told at once."""
    training = experiment.training
    size = packed_size(training.image_size, training.crop_margin)
    gigabytes = training.stream_above_gb
    stream_above = None if gigabytes is None else gigabytes * GB
    packed, faults = dict[str, Packed](), list[str]()
    for name in ("train", "validation", "test"):

        def progress(done: int, total: int, name: str = name) -> None:
            observer.progress(f"packing {name}", done, total)

        try:
            packed[name] = pack(
                getattr(splits, name),
                size,
                training.resize,
                progress,
                stream_above=stream_above,
                what=f"{experiment.name}, {name}",
                skip_bad=training.on_bad_image == "skip",
                value_range=training.value_range,
            )
        except BadPicturesError as bad:
            faults += bad.faults
    if faults:
        raise BadPicturesError(
            faults,
            "Repair, replace or remove them, or leave them out with "
            f"{setting('training.on_bad_image', 'skip')}.",
        )
    return packed


def _examine(
    packed: dict[str, Packed],
    class_names: tuple[str, ...],
    ignored: Mapping[str, int],
    training: Training,
) -> tuple[dict[str, Packed], Findings]:
    """Looks for pictures that stand twice, and does with them as the experiment says."""
    findings = examine(packed, class_names, ignored)
    if not findings.duplicates or training.on_duplicate == "allow":
        return packed, findings
    if training.on_duplicate == "error":
        raise InputError(
            f"{findings.note('duplicates')}\nRemove one of each pair, or keep only the one that "
            f"judges with {setting('training.on_duplicate', 'skip')}, or both with "
            f"{setting('training.on_duplicate', 'allow')}."
        )
    for name, rows in copies(packed).items():
        here = packed[name]
        reasons = [f"{here.name(row)}: it stands in {split} too" for row, split in rows.items()]
        packed[name] = here.without(rows, reasons)
    _check_labels(packed, class_names)
    return packed, examine(packed, class_names, ignored)


def _check_labels(packed: Mapping[str, Packed], class_names: tuple[str, ...]) -> None:
    classes = len(class_names)
    if classes < 2:
        raise InputError(f"the dataset has {classes} class; at least 2 are needed.")
    for name, split in packed.items():
        left = " left" if split.skipped else ""
        if not len(split):
            raise InputError(f"the {name} split holds no pictures{left}.")
        if split.labels.min() < 0 or split.labels.max() >= classes:
            raise PluginError(
                f"the {name} split has labels {split.labels.min()} to {split.labels.max()}; "
                f"with {classes} classes they must be 0 to {classes - 1}."
            )


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
