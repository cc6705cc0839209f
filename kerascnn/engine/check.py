"""Checks each stage without training it, for `kerascnn check`."""

from collections.abc import Iterator
from dataclasses import dataclass

from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import count_trainable, set_trainable, trainable_layers
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.inputs import choose
from kerascnn.engine.training.memory import memory_bytes, shortage


@dataclass(frozen=True)
class StageCheck:
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
    """Sets the trainable layers of each stage in turn and checks the result."""
    model = prepared.network.model
    for plan in prepared.plans:
        set_trainable(model, plan.layers, plan.batchnorm)
        parts = cut(model)
        total = plan.views * plan.images + len(prepared.data.validation)
        batch = min(plan.batch_size, plan.images) // prepared.devices
        yield StageCheck(
            name=plan.stage.name,
            unfreeze=plan.choice,
            epochs=plan.stage.epochs,
            steps=-(-plan.images // plan.batch_size),
            trainable_parameters=count_trainable(model),
            trainable_layers=trainable_layers(model),
            boundary=parts.boundary,
            frozen_part=choose(parts, plan, total)[1],
            memory_bytes=memory_bytes(model, parts.suffix, batch),
            shortage=shortage(model, parts.suffix, batch),
        )
