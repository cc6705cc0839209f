"""What the larger events of a run carry: values that can be sent to another process."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kerascnn.engine.prepared import Prepared
    from kerascnn.engine.training.plan import Plan
    from kerascnn.engine.training.stage_result import StageResult


@dataclass(frozen=True)
class Overview:
    """The data and the network of a run.

    Args:
        experiment: The resolved experiment, as `experiment.toml` holds it.
        images: The number of images in each split.
        class_names: In the order of the labels.
        architecture: The name of the network.
        weights: Description of the pretrained weights; "" from scratch.
        parameters: Number of weights.
        blocks: From the input on, without the head.
        packed: The number of images that were packed now; the others were packed before.
        data_seconds: Finding, decoding and packing the images, or finding them packed.
    """

    experiment: dict[str, Any]
    images: dict[str, int]
    class_names: tuple[str, ...]
    architecture: str
    weights: str
    parameters: int
    blocks: tuple[str, ...]
    packed: int
    data_seconds: float


def overview(prepared: "Prepared") -> Overview:
    data, network = prepared.data, prepared.network
    return Overview(
        experiment=prepared.experiment.resolved,
        images={name: len(packed) for name, packed in data.splits().items()},
        class_names=tuple(data.class_names),
        architecture=prepared.experiment.architecture.name,
        weights=str(network.weights or ""),
        parameters=network.parameters(),
        blocks=network.blocks,
        packed=sum(packed.made for packed in data.splits().values()),
        data_seconds=data.seconds,
    )


@dataclass(frozen=True)
class StageStart:
    """A stage that begins or resumes.

    Args:
        number: From 1.
        total: Number of stages.
        name: The stage's name.
        choice: What is trained, in words.
        epochs: Maximum number of epochs.
        epochs_before: Of the stages before it.
        batch_size: Images per step.
        reused_from: The id of an earlier run whose result is taken; None if the stage is trained.
    """

    number: int
    total: int
    name: str
    choice: str
    epochs: int
    epochs_before: int
    batch_size: int
    reused_from: str | None = None


def stage_start(
    plan: "Plan", total: int, done: "Iterable[StageResult]", reused_from: str | None = None
) -> StageStart:
    """The start of one of `total` stages, after those that are done."""
    return StageStart(
        number=plan.index + 1,
        total=total,
        name=plan.stage.name,
        choice=plan.choice,
        epochs=plan.stage.epochs,
        epochs_before=sum(stage.epochs for stage in done),
        batch_size=plan.batch_size,
        reused_from=reused_from,
    )
