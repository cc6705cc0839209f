"""The tables of a result."""

from typing import Any, NotRequired, TypedDict

from kerascnn.engine.metrics.named import Measured


class SplitTable(TypedDict):
    """A split of the dataset."""

    images: int
    fingerprint: str
    packed: NotRequired[int]  # in this run; the other images had been packed before


class WeightsTable(TypedDict):
    """Pretrained weights that the network started from; see `kerascnn.Weights`."""

    origin: str
    licence: str
    trained_on: str
    image_size: int | None


class DecidedTable(TypedDict):
    """The validation metric that decides instead of the accuracy, with `keep = "best:NAME"`."""

    metric: str
    value: float
    gain: NotRequired[float]  # over the weights that the stage started from


class MetricTable(Measured):
    """One of the experiment's metrics on the test images, as trained.

    Args:
        validation: The value on the validation images, to choose by; None where it is not defined.
    """

    validation: float | None


class StageTable(TypedDict):
    """A stage; see `training.stage_result.StageResult`."""

    name: str
    unfreeze: str
    reused_from: str | None
    epochs: int
    best_epoch: int
    seconds: float
    trained_seconds: float
    prefix_seconds: float
    fit_seconds: float
    cache: dict[str, Any]
    images_per_second: float
    trainable_parameters: int
    trainable_layers: list[str]
    boundary: str
    gradient_accumulation: NotRequired[int]  # above 1; more than asked for if memory ran out
    val_accuracy: float
    val_loss: float
    gain: NotRequired[float]
    gain_interval: NotRequired[tuple[float, float]]
    kept: bool
    decided: NotRequired[DecidedTable]
    frozen_sha256: str
    ended_sha256: str
