"""The `[training]` table of an experiment: how images are prepared, and what its stages share."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from kerascnn.experiment.strict import Strict
from kerascnn.experiment.teacher import Teacher

TrainOn = Literal["train", "train+validation", "all"]
"""The splits that train, the fewest first."""

BEST_BY = "best:(.+)"
"""The weights of the epoch that is best by one of the experiment's metrics."""


def _keep(value: Any) -> Any:
    if value in ("best", "last") or (isinstance(value, str) and re.fullmatch(BEST_BY, value)):
        return value
    raise ValueError('expected "best", "last" or "best:METRIC", such as "best:balanced_accuracy"')


def _devices(value: Any) -> Any:
    if value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError('expected a number of devices, at least 1, or "all"')


def _range(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is None or value[0] < value[1]:
        return value
    raise ValueError("expected [black, white] with black below white, such as [0, 4095]")


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
    train_on: TrainOn = Field(
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
