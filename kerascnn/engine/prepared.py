"""An experiment prepared for training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.blocks import blocks_of
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.hygiene.findings import Examination
from kerascnn.engine.data.splits.training_splits import stage_images
from kerascnn.engine.data.store.packed import Data, Packed
from kerascnn.engine.metrics.named import NamedMetric
from kerascnn.engine.network.build import Built
from kerascnn.engine.training.devices.group import Group
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.variables import network_variables
from kerascnn.experiment.bound import BoundExperiment


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data, network, planned stages and metrics."""

    experiment: BoundExperiment
    backend: str
    data: Data
    examination: Examination
    network: Built
    plans: tuple[Plan, ...]
    metrics: tuple[NamedMetric, ...] = ()
    devices: int = 1  # to train on together, in all processes
    built: Sequence[np.ndarray] = field(default=(), repr=False)  # values of what all stages change
    group: Group | None = None  # of the processes; default this one, and those that it starts

    def train(self, plan: Plan) -> Packed:
        """The images that a stage trains on."""
        stage = self.experiment.stages[plan.index]
        return stage_images(stage, self.experiment.training, self.data)

    def examples(self, plan: Plan) -> tuple[Examples, Examples]:
        """The training examples of a stage, and the validation examples."""
        train, validation = self.train(plan), self.data.validation
        blocks = blocks_of(train, self.experiment.training)
        centred = Preparation.of(self.experiment.training).windows(validation.images)
        return (
            Examples(train.images, train.labels, train.digests, blocks),
            Examples(centred, validation.labels, validation.digests),
        )

    def changed_by(self, stages: int) -> list[Any]:
        """The variables that the first stages may have changed."""
        layers = [layer for plan in self.plans[:stages] for layer in plan.layers]
        return network_variables(self.network.model, layers)
