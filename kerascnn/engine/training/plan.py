"""A stage with all its settings resolved: layers, schedule, loss, augmentation, class weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kerascnn.components.component import RegisteredComponent
from kerascnn.engine.data.batches.augment import Augmenter, augmenter
from kerascnn.engine.data.splits.training_splits import stage_images
from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.metrics.named import NamedMetric
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.unfreeze import select
from kerascnn.engine.training.loss import make_loss
from kerascnn.engine.training.optimizers import make_optimizer
from kerascnn.engine.training.teacher import Teacher
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.metrics import best_by
from kerascnn.experiment.model import Stage
from kerascnn.hookspecs import Augmentation, HostAugmentation
from kerascnn.runtime.cache import limit_bytes
from kerascnn.runtime.files import GB

NO_AUGMENTATION = "none"


@dataclass(frozen=True)
class Plan:
    """A stage with its components resolved, ready to fit."""

    stage: Stage
    index: int  # from 0
    layers: frozenset[str]  # the trainable ones
    batchnorm: str  # "frozen" or "train"
    batch_size: int
    schedule: Callable[..., Any]  # `schedule(peak_learning_rate=, steps=, steps_per_epoch=)`
    accumulation: int = 1  # micro-batches of a batch, at most
    loss: Any = None  # a `keras.losses.Loss`; none: cross-entropy
    loss_key: str = ""  # identifies what it computes; "" if that is not known
    schedule_of: RegisteredComponent | None = None  # the schedule's component, for messages
    augment: Augmenter | None = None  # none: the images unchanged
    class_weights: np.ndarray | None = None  # float32 [K]
    seed: int = 0  # the experiment's
    view_seed: int = 0  # of stored views
    augmentation: str = NO_AUGMENTATION  # the name of the component behind `augment`
    augmentation_key: str = ""  # identifies what `augment` does; "" if its draws cannot be repeated
    views_key: str = ""  # the same without mixing, which stored views do not depend on
    architecture: str = ""  # the name of the network's component
    built_by: Callable[..., Any] | None = None  # the plugin's function that built the network
    activation_bytes: int = 2 * 2**30  # disk budget for all cached activations of the stage
    prefix_precision: str | None = None  # the policy of a prefix that runs before the first step
    prefix_engine: str = "auto"  # what computes it: "auto", "openvino" or "backend"
    keep: str = "best"  # "best", "last" or "best:NAME", with NAME one of the metrics
    metrics: tuple[NamedMetric, ...] = ()  # of the validation images
    choice: str = ""  # what is trained, in words
    images: int = 0  # that train it
    teacher: Teacher | None = None  # its probabilities are the labels; none: the classes

    @property
    def best_by(self) -> NamedMetric | None:
        """The metric that decides which weights are carried forward; none: the accuracy."""
        name = best_by(self.keep)
        return next((metric for metric in self.metrics if metric.name == name), None)

    @property
    def views(self) -> int:
        """Copies of each image that the frozen prefix runs over; 0: new ones in every step.

        At most the number of epochs.
        """
        return min(self.stage.views or 0, self.stage.epochs) if self.augment else 1

    def at_once(self, images: int, devices: int) -> int:
        """Of the training images, how many a device computes together: those of a micro-batch."""
        return -(-(min(self.batch_size, images) // devices) // self.accumulation)


_UNSEEN = (
    'stage "{}": a teacher cannot see the stored views of {}, a Keras layer that draws by itself; '
    "leave out views."
)


def plan_stage(
    experiment: BoundExperiment,
    index: int,
    network: Built,
    data: Data,
    metrics: tuple[NamedMetric, ...] = (),
    teacher: Teacher | None = None,
) -> Plan:
    """Plans a stage; raises InputError if its settings do not fit the network or the data."""
    bound, training = experiment.stages[index], experiment.training
    stage, train = bound.settings, stage_images(bound, training, data)
    images, classes = len(train), len(data.class_names)
    try:
        trainable = select(network, stage.unfreeze, images / classes)
        make_optimizer(  # only to report its faults now
            stage.optimizer,
            stage.learning_rate,
            weight_decay=stage.weight_decay,
            clip_norm=stage.clip_norm,
        )
    except InputError as error:
        raise InputError(f'stage "{stage.name}": {error}') from error
    if bound.gradient_accumulation > bound.batch_size:
        raise InputError(
            f'stage "{stage.name}": gradient_accumulation = {bound.gradient_accumulation} cuts a '
            f"batch of {bound.batch_size} (batch_size) into more micro-batches than images."
        )
    budget, counts = training.activations_gb, np.bincount(train.labels, minlength=classes).tolist()
    augmented = augmentation(experiment, index, classes)
    if teacher and stage.views and augmented and augmented["augment"].view is None:
        raise InputError(_UNSEEN.format(stage.name, bound.augmentation.registered))
    return Plan(
        stage=stage,
        index=index,
        layers=trainable.layers,
        batchnorm=stage.batchnorm or ("frozen" if network.pretrained else "train"),
        batch_size=bound.batch_size,
        accumulation=bound.gradient_accumulation,
        schedule=bound.schedule.build,
        loss=make_loss(bound.loss, counts),
        loss_key=bound.loss.key and f"{bound.loss.key} {counts}",
        schedule_of=bound.schedule.registered,
        **augmented,
        class_weights=class_weights(stage, counts, data.class_names),
        seed=experiment.seed,
        view_seed=training.view_seed,
        architecture=experiment.architecture.name,
        keep=training.keep,
        metrics=metrics,
        built_by=experiment.architecture.registered.component.build,
        activation_bytes=limit_bytes() // 4 if budget is None else int(budget * GB),
        prefix_precision=training.prefix_precision,
        prefix_engine=training.prefix_engine,
        choice=trainable.choice,
        images=images,
        teacher=teacher,
    )


def augmentation(experiment: BoundExperiment, index: int, classes: int) -> dict[str, Any]:
    bound, training = experiment.stages[index].augmentation, experiment.training
    size, seed = training.image_size, (experiment.seed, index)
    if bound.name == NO_AUGMENTATION and bound.params == type(bound.params)():
        return {}
    policy = bound.build(image_size=size, num_classes=classes)
    augment = augmenter(policy, seed, size, str(bound.registered), training.view_seed)
    guarded = partial(bound.registered.guarded, when="while augmenting a batch")
    repeatable = isinstance(policy, Augmentation | HostAugmentation)
    mix = policy.mix if isinstance(policy, Augmentation) else None
    return {
        "augment": augment.within(guarded),
        "augmentation": bound.name,
        # a Keras layer draws its own random numbers: they cannot be repeated
        "augmentation_key": bound.key if repeatable else "",
        "views_key": bound.key_without(mix.params if mix else ()) if repeatable else "",
    }


def class_weights(stage: Stage, counts: Sequence[int], names: Sequence[str]) -> np.ndarray | None:
    """The weight of each class in the loss, float32 [K]; "balanced": by inverse frequency.

    Args:
        counts: The training images of each class.
        names: Of the classes.
    """
    if stage.class_weights is None:
        return None
    if stage.class_weights == "balanced":
        return (sum(counts) / (len(names) * np.maximum(counts, 1))).astype(np.float32)
    for name in stage.class_weights:
        if name not in names:
            raise InputError(
                f'stage "{stage.name}": class_weights: no class "{name}".'
                f"{did_you_mean(name, names)} The classes are {', '.join(names[:20])}."
            )
    return np.array([stage.class_weights.get(name, 1.0) for name in names], np.float32)
