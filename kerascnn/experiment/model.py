"""What an experiment says: the tables of its TOML as frozen, strict models."""

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

from kerascnn.runtime.text import nfc

_ADAM = ("beta_1", "beta_2", "epsilon")
OPTIMIZERS: dict[str, tuple[str, ...]] = {  # of Keras, with their own arguments
    "adadelta": ("rho", "epsilon"),
    "adafactor": ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adam": (*_ADAM, "amsgrad"),
    "adamax": _ADAM,
    "adamw": (*_ADAM, "amsgrad"),
    "ftrl": (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    ),
    "lamb": _ADAM,
    "lion": ("beta_1", "beta_2"),
    "muon": (
        "adam_beta_1",
        "adam_beta_2",
        "adam_weight_decay",
        "epsilon",
        "exclude_layers",
        "exclude_embeddings",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "rms_rate",
    ),
    "nadam": _ADAM,
    "rmsprop": ("rho", "momentum", "epsilon", "centered"),
    "schedule_free_adamw": (*_ADAM, "warmup_steps"),
    "sgd": ("momentum", "nesterov"),
}
OF_ALL_OPTIMIZERS = ("clipnorm", "clipvalue", "loss_scale_factor", "gradient_accumulation_steps")
SHARES = ("momentum", "rho", "beta_1", "beta_2", "adam_beta_1", "adam_beta_2")  # from 0 to 1


UNDECISIVE = ("training.backend", "training.checkpoint_seconds")  # where a run ends all the same


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Choice(BaseModel):
    """A component by name; the other keys are its own parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError('expected a name in quotes, or a table with a "name"')
        return {"name": value} if isinstance(value, str) else value

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Dataset(Choice):
    """A dataset."""


class Augmentation(Choice):
    """An augmentation."""


class Architecture(Choice):
    """An architecture."""


class Schedule(Choice):
    """A schedule of the learning rate."""


class Optimizer(Choice):
    """A Keras optimizer by its snake_case name; the other keys are its own arguments."""

    name: Literal[tuple(OPTIMIZERS)] = "adam"  # type: ignore[valid-type]


class EarlyStopping(Strict):
    """Ends a stage when the validation images have not improved for a while."""

    monitor: Literal["val_accuracy", "val_loss"] = Field(
        "val_loss", description="what is to improve"
    )
    patience: int = Field(3, ge=1, description="epochs without improvement")


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
        'expected "head", "last:N" with N at least 1, "all", "auto" or a list of patterns of '
        'block or layer names such as ["conv5*"]'
    )


def _class_weights(value: Any) -> Any:
    if value == "balanced" or value is None:
        return value
    if isinstance(value, dict) and all(_positive(weight) for weight in value.values()):
        # class names are in NFC too, but an editor on a Mac may write the other form
        return {nfc(name): weight for name, weight in value.items()}
    raise ValueError('expected "balanced" or a table of class names and positive weights')


def _range(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is None or value[0] < value[1]:
        return value
    raise ValueError("expected the value of black and the greater one of white, as in [0, 4095]")


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


class Training(Strict):
    """What all stages share."""

    image_size: int = Field(default=160, ge=8, le=2048, description="pixels, height and width")
    resize: Literal["crop", "pad", "stretch"] = Field(
        default="crop", description="how an image becomes square"
    )
    value_range: Annotated[tuple[float, float] | None, AfterValidator(_range)] = Field(
        default=None,
        description="the values of black and white in images with more than 8 bits a value, such "
        "as [0, 4095] of 12 bits kept in 16; default all that the file's bits hold, and "
        "floating-point values are refused",
    )
    crop_margin: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of image_size by which images are packed larger; augmented training "
        "takes a random window of image_size, everything else the middle one",
    )
    batch_size: int = Field(
        default=32, ge=1, description="images a step, where a stage says nothing"
    )
    backend: Literal["auto", "tensorflow", "jax", "torch"] = Field(
        default="auto",
        description='Keras\'s; "auto": what KERAS_BACKEND says, else the first installed one of '
        "tensorflow, torch and jax",
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="what the network computes in, as a Keras dtype policy"
    )
    prefix_precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = Field(
        default=None,
        description="of the frozen part where it runs before the first step; default `precision`",
    )
    activations_gb: float | None = Field(
        default=None,
        ge=0,
        description="what a stage's activations may take; beyond it they are kept of an earlier "
        "layer, or of none (0: never); default a quarter of what the cache may hold",
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="the weights that a stage hands on and that the run evaluates"
    )
    checkpoint_seconds: float = Field(
        default=300.0,
        ge=0,
        description="from one checkpoint to the next while a stage trains; at the end of an epoch "
        "there is one earlier, but none that costs over 2% of the time since; 0: after every step",
    )
    on_bad_image: Literal["error", "skip"] = Field(
        default="error", description="what becomes of images that cannot be read; all are named"
    )
    on_duplicate: Literal["error", "skip", "allow"] = Field(
        default="error",
        description="what becomes of an image that stands in two splits, and so flatters the "
        'accuracy: "skip" keeps only the one that judges',
    )
    stream_above_gb: float | None = Field(
        default=None,
        gt=0,
        description="a split that takes more than this when packed is not stored but decoded for "
        "each batch anew; default: what the cache may hold, half of the disk that is free for it",
    )


class Stage(Strict):
    """A span of training with a fixed set of trainable layers."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="in the report and on MLflow's page")
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
    ] = Field("head", description="the trainable layers; the head always is")
    epochs: int = Field(ge=1, description="passes over the training images, at most")
    learning_rate: float = Field(gt=0, description="peak learning rate of the head")
    schedule: Schedule = Field(
        Schedule(name="constant"), description="how the rate goes on from its peak"
    )
    optimizer: Optimizer = Field(
        Optimizer(),
        description="of Keras, by its snake_case name; other keys are its own arguments",
    )
    batch_size: int | None = Field(
        None, ge=1, description="images a step; default that of `training`"
    )
    augmentation: Annotated[
        Augmentation | None,
        BeforeValidator(_on_or_off, json_schema_input_type=bool | Augmentation),
    ] = Field(None, description="true: the experiment's own; false: none; or another one")
    views: int | None = Field(
        None,
        ge=1,
        description="augmented copies of each image, drawn once and used in turn, so that what "
        "is frozen is computed once for each; default: augmented anew with every step",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="factor of the learning rate, block by block from the head"
    )
    weight_decay: float | None = Field(
        None, ge=0, description="not on biases and BatchNorm; default the optimizer's own"
    )
    ema_fraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="the stage is judged by, and hands on, an exponential moving average of its "
        "weights, which forgets within this fraction of the stage's steps",
    )
    clip_norm: float | None = Field(None, gt=0, description="greatest norm of all gradients")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of each label that is spread over all classes"
    )
    class_weights: Annotated[
        Literal["balanced"] | dict[str, float] | None,
        BeforeValidator(_class_weights),
    ] = Field(
        None,
        description='in the loss: "balanced" gives all classes the same sum; a table of class '
        "names and weights what it says, and 1 where it says nothing",
    )
    batchnorm: Literal["frozen", "train"] | None = Field(
        None, description='default "frozen" on pretrained weights, "train" from scratch'
    )
    early_stopping: EarlyStopping | None = Field(
        None,
        description="ends the stage when the validation images have not improved for a while",
    )


class Experiment(Strict):
    """Everything that decides the result."""

    name: str = Field(pattern=r"^[A-Za-z0-9_. -]+$", description="MLflow's experiment")
    seed: int = Field(
        0, ge=0, lt=2**32, description="of first weights, order, augmentation and dropout"
    )
    dataset: Dataset = Field(description="where the images come from")
    augmentation: Augmentation = Field(
        Augmentation(name="none"), description="what changes the images that are trained on"
    )
    architecture: Architecture = Field(description="the network")
    training: Training = Field(Training(), description="what all stages share")
    stages: tuple[Stage, ...] = Field(
        min_length=1, description="spans of training, one after the other"
    )

    def augmentation_of(self, stage: Stage) -> Augmentation:
        """The augmentation that the stage trains with: its own, or the experiment's."""
        return stage.augmentation or self.augmentation

    def batch_size_of(self, stage: Stage) -> int:
        return stage.batch_size or self.training.batch_size
