"""The tables of an experiment's TOML, as frozen, strict models."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from kerascnn.experiment.choices import (
    DEFAULT_LOSS,
    Architecture,
    Augmentation,
    Choice,
    Dataset,
    Loss,
    Metric,
    Observer,
    Schedule,
)
from kerascnn.experiment.optimizers import OPTIMIZERS
from kerascnn.experiment.strict import Strict
from kerascnn.experiment.training import Training, TrainOn
from kerascnn.experiment.update import Update
from kerascnn.runtime.text import nfc


class Optimizer(Choice):
    """A Keras optimizer by its snake_case name; the other keys are its own arguments."""

    name: Literal[tuple(OPTIMIZERS)] = "adam"  # type: ignore[valid-type]


class EarlyStopping(Strict):
    """Ends a stage when validation has stopped improving."""

    monitor: str = Field(
        "val_loss",
        description='the metric to watch: "val_accuracy", "val_loss" or "val_NAME", with NAME one '
        "of the experiment's `metrics`",
    )
    patience: int = Field(3, ge=1, description="epochs without improvement before stopping")


def _on_or_off(value: Any) -> Any:
    if isinstance(value, bool):
        return None if value else {"name": "none"}
    return value


def _unfreeze(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        return tuple(value)
    if value in ("head", "all", "auto"):
        return value
    if isinstance(value, str) and re.fullmatch("last:[1-9][0-9]*", value):
        return value
    raise ValueError(
        'expected "head", "last:N" with N at least 1, "all", "auto", or an array of block or layer '
        'name patterns such as ["conv5*"]'
    )


def _class_weights(value: Any) -> Any:
    if value == "balanced" or value is None:
        return value
    if isinstance(value, dict) and all(_positive(weight) for weight in value.values()):
        # class names are compared in NFC, but editors on macOS may write NFD
        return {nfc(name): weight for name, weight in value.items()}
    raise ValueError('expected "balanced" or a table of class names and positive weights')


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


class Stage(Strict):
    """A span of training with a fixed set of trainable layers."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="name in the report and in MLflow")
    unfreeze: Annotated[
        str | tuple[str, ...],
        BeforeValidator(_unfreeze),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": "^(head|all|auto|last:[1-9][0-9]*)$"},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1},
                ]
            }
        ),
    ] = Field("head", description="trainable layers, besides the head")
    epochs: int = Field(ge=1, description="maximum number of passes over the training images")
    learning_rate: float = Field(gt=0, description="peak learning rate of the head")
    schedule: Schedule = Field(Schedule(name="constant"), description="learning-rate schedule")
    optimizer: Optimizer = Field(
        Optimizer(),
        description="Keras optimizer by its snake_case name; other keys are its arguments",
    )
    batch_size: int | None = Field(
        None, ge=1, description="images per step; default that of `training`"
    )
    train_on: TrainOn | None = Field(
        None, description="the splits that train this stage: those of `training`, or fewer"
    )
    augmentation: Annotated[
        Augmentation | None, BeforeValidator(_on_or_off, json_schema_input_type=bool | Augmentation)
    ] = Field(None, description="true: the experiment's; false: none; or another one")
    views: int | None = Field(
        None,
        ge=1,
        description="augmented copies per image, stored and used in turn, so that the frozen "
        "prefix is computed once per copy; default: augmented anew at every step",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="learning-rate factor per block, from the head down"
    )
    weight_decay: float | None = Field(
        None, ge=0, description="not applied to biases and BatchNorm; default the optimizer's"
    )
    ema_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="evaluate and carry forward an exponential moving average of the weights, over "
        "a window of this fraction of the stage's steps; 0: none",
    )
    clip_norm: float = Field(
        0.0, ge=0, description="maximum global norm of the gradients; 0: no limit"
    )
    loss: Loss = Field(
        DEFAULT_LOSS,
        description="training loss; val_loss is always the cross-entropy",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of each label spread evenly over all classes"
    )
    class_weights: Annotated[
        Literal["balanced"] | dict[str, float] | None, BeforeValidator(_class_weights)
    ] = Field(
        None, description='"balanced" (inverse frequency), or a table of class weights (default 1)'
    )
    batchnorm: Literal["frozen", "train"] | None = Field(
        None, description='default "frozen" with pretrained weights, "train" from scratch'
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="ends the stage when validation has stopped improving"
    )


class Experiment(Strict):
    """Everything that decides the result of a run, and who observes it."""

    name: str = Field(pattern=r"^[A-Za-z0-9_. -]+$", description="name of the MLflow experiment")
    seed: int = Field(
        0,
        ge=0,
        lt=2**32,
        description="seed of initial weights, image order, augmentation and dropout",
    )
    dataset: Dataset = Field(description="where the images come from")
    augmentation: Augmentation = Field(
        Augmentation(name="none"), description="how training images are varied"
    )
    architecture: Architecture = Field(description="the network")
    training: Training = Field(Training(), description="settings that all stages share")
    metrics: tuple[Metric, ...] = Field(
        (), description="metrics of validation and test images, besides accuracy and loss"
    )
    stages: tuple[Stage, ...] = Field(
        description="spans of training, in order; an ensemble of trained runs needs none",
        json_schema_extra={"minItems": 1},
    )
    update: Update | None = Field(
        None, description="the run that this one updates, as the command `update` writes it"
    )
    observers: tuple[Observer, ...] = Field(
        (), description="what receives the events of a run, such as a message at its end"
    )

    @model_validator(mode="after")
    def _stops_by_unseen_images(self) -> "Experiment":
        for stage in self.stages:
            train_on = stage.train_on or self.training.train_on
            if stage.early_stopping and train_on != "train":
                raise ValueError(
                    f'train_on = "{train_on}" leaves no images to stop stage "{stage.name}" by; '
                    "remove its early_stopping"
                )
        return self

    @model_validator(mode="after")
    def _stages_train_on_images_of_the_run(self) -> "Experiment":
        sizes, splits = get_args(TrainOn), self.training.train_on
        for stage in self.stages:
            if stage.train_on and sizes.index(stage.train_on) > sizes.index(splits):
                raise ValueError(
                    f'stage "{stage.name}" has train_on = "{stage.train_on}", which is more than '
                    f'training.train_on = "{splits}"; set that to "{stage.train_on}" too'
                )
        return self


def incidental(key: str) -> bool:
    """Whether a dotted key does not affect the result: a run may be resumed with another value."""
    return key in _INCIDENTAL or key.partition(".")[0] == "observers"


_INCIDENTAL = ("training.backend", "training.checkpoint_seconds", "training.devices")
