"""The tables of an experiment's TOML, as frozen, strict models."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
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
from kerascnn.experiment.teacher import Teacher
from kerascnn.experiment.update import Update
from kerascnn.runtime.text import nfc


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


BEST_BY = "best:(.+)"
"""The weights of the epoch that is best by one of the experiment's metrics."""


def _on_or_off(value: Any) -> Any:
    if isinstance(value, bool):
        return None if value else {"name": "none"}
    return value


def _keep(value: Any) -> Any:
    if value in ("best", "last") or (isinstance(value, str) and re.fullmatch(BEST_BY, value)):
        return value
    raise ValueError('expected "best", "last" or "best:METRIC", such as "best:balanced_accuracy"')


def _devices(value: Any) -> Any:
    if value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError('expected a number of devices, at least 1, or "all"')


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


def _range(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is None or value[0] < value[1]:
        return value
    raise ValueError("expected [black, white] with black below white, such as [0, 4095]")


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


class Training(Strict):
    """Settings that all stages share."""

    image_size: int = Field(default=160, ge=8, le=2048, description="height and width in pixels")
    resize: Literal["crop", "pad", "stretch"] = Field(
        default="crop", description="how an image is made square"
    )
    value_range: Annotated[tuple[float, float] | None, AfterValidator(_range)] = Field(
        default=None,
        description="values of black and white in images with more than 8 bits per channel, such "
        "as [0, 4095] for 12 bits stored in 16; default the full range of the file's bits; "
        "required for floating-point images",
    )
    crop_margin: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how much larger than image_size images are packed, as a fraction of it; "
        "augmented training takes a random crop of image_size, everything else the centre crop",
    )
    batch_size: int = Field(
        default=32, ge=1, description="images per step, for stages without their own"
    )
    backend: Literal["auto", "tensorflow", "jax", "torch"] = Field(
        default="auto",
        description='the Keras backend; "auto": KERAS_BACKEND if set, else the first installed of '
        "tensorflow, torch and jax",
    )
    devices: Annotated[
        int | Literal["all"],
        BeforeValidator(_devices),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["all"]}]}),
    ] = Field(
        default=1,
        description='devices of this host to train on together, or "all"; each takes an equal '
        "part of every batch, and batch_size is that of all of them",
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="Keras dtype policy of the network"
    )
    prefix_precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = Field(
        default=None,
        description="Keras dtype policy of the frozen prefix where it is computed before training; "
        "default `precision`",
    )
    prefix_engine: Literal["auto", "openvino", "backend"] = Field(
        default="auto",
        description="what computes the frozen prefix before training: OpenVINO (on the CPU, in "
        'float32) or the backend; "auto": OpenVINO if it is installed, the device is a CPU and '
        'the precision is float32. With "backend", the test of the run and predictions stay with '
        "the backend too",
    )
    view_seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="seed of stored views (`views`); runs with another `seed` share them",
    )
    activations_gb: float | None = Field(
        default=None,
        ge=0,
        description="disk budget (GB) for a stage's cached activations; beyond it an earlier layer "
        "is cached, or none (0: never); default a quarter of the cache limit",
    )
    keep: Annotated[
        str,
        BeforeValidator(_keep),
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": ["best", "last"]},
                    {"type": "string", "pattern": f"^{BEST_BY}$"},
                ]
            }
        ),
    ] = Field(
        default="best",
        description="weights carried forward and evaluated: those of the best epoch by accuracy, "
        'of the last epoch, or with "best:NAME" of the best by one of the `metrics`',
    )
    teacher: Teacher | None = Field(
        default=None,
        description="a run that teaches the network: its probabilities for each augmented image "
        "are the labels; a run's id, or a table",
    )
    checkpoint_seconds: float = Field(
        default=300.0,
        ge=0,
        description="seconds between checkpoints within a stage; the end of an epoch writes one "
        "earlier; none is written that costs over 2% of the time since the last (0: at every step)",
    )
    shuffle: Literal["full", "blocks"] = Field(
        default="full",
        description='the order of an epoch: "full" shuffles all training images; "blocks" the '
        "files (or equal parts) that hold them, and images within `shuffle_window`, so that images "
        "beyond memory and disk are read nearly in the order in which they are stored",
    )
    shuffle_window: int = Field(
        default=10_000,
        ge=1,
        description='with "blocks", how far an image may move, in images: more than a few files '
        "hold, and more if neighbours in them are alike",
    )
    train_on: Literal["train", "train+validation", "all"] = Field(
        default="train",
        description="the splits that train: also the validation images, or all, once the settings "
        'are chosen; figures on those say nothing about other images, so `keep` must be "last"',
    )
    temperature: float | None = Field(
        default=None,
        gt=0,
        description="calibrates the probabilities; default the one fitted on the validation "
        "images, or 1 where these are trained on",
    )
    on_bad_image: Literal["error", "skip"] = Field(
        default="error", description="what to do with images that cannot be read; all are listed"
    )
    on_duplicate: Literal["error", "skip", "allow"] = Field(
        default="error",
        description="what to do with an image that is in two splits, which inflates the accuracy: "
        '"skip" keeps it only in the split that evaluates',
    )
    stream_above_gb: float | None = Field(
        default=None,
        gt=0,
        description="a split larger than this (GB) when packed is decoded anew for every batch "
        "instead of stored; default the cache limit, which is half of the free disk",
    )

    @model_validator(mode="after")
    def _chooses_by_unseen_images(self) -> "Training":
        if self.train_on != "train" and self.keep != "last":
            raise ValueError(
                f'train_on = "{self.train_on}" leaves no images to choose an epoch by; '
                'use keep = "last"'
            )
        return self

    @model_validator(mode="after")
    def _computes_in_float32(self) -> "Training":
        asked = {self.precision, self.prefix_precision} - {"float32", None}
        if self.prefix_engine == "openvino" and asked:
            raise ValueError(
                f'prefix_engine = "openvino" computes in float32, not in {asked.pop()}; '
                'use prefix_engine = "auto"'
            )
        return self


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
        stopping = [stage.name for stage in self.stages if stage.early_stopping]
        if stopping and self.training.train_on != "train":
            raise ValueError(
                f'training.train_on = "{self.training.train_on}" leaves no images to stop stage '
                f'"{stopping[0]}" by; remove its early_stopping'
            )
        return self


def incidental(key: str) -> bool:
    """Whether a dotted key does not affect the result: a run may be resumed with another value."""
    return key in _INCIDENTAL or key.partition(".")[0] == "observers"


_INCIDENTAL = ("training.backend", "training.checkpoint_seconds", "training.devices")
