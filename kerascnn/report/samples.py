"""Augmented pictures as a stage saw them."""

from dataclasses import dataclass

import numpy as np

from kerascnn.data.batches import OneHot, shuffled
from kerascnn.network.inference import to_numpy
from kerascnn.prepare import augmentation
from kerascnn.report.gather import Material


@dataclass(frozen=True)
class Samples:
    """The first pictures of a stage's first step.

    Args:
        stage: The stage's name.
        augmentation: The component's.
        before: Pictures as they are packed, uint8 [N, P, P, 3].
        after: As the network took them, uint8 [N, S, S, 3].
        targets: float32 [N, K], the share of each class.
        exact: Whether the stage saw just these; else others that are drawn alike.
    """

    stage: str
    augmentation: str
    before: np.ndarray
    after: np.ndarray
    targets: np.ndarray
    exact: bool


def augmented(material: Material, count: int) -> Samples | None:
    """The first augmented pictures of the last stage that augments; None where none does."""
    experiment, data = material.experiment, material.data
    if data is None:
        return None
    for index, stage in reversed(list(enumerate(experiment.stages))):
        classes = len(data.class_names)
        drawn = augmentation(experiment, stage, index, material.registry, classes)
        if not drawn:
            continue
        first = 0 if stage.views else 1  # the views are counted from 0, the epochs from 1
        order = shuffled(len(data.train), (experiment.seed, index), first)
        rows = order[: experiment.batch_size_of(stage)]
        before = data.train.images[rows]
        targets = OneHot(data.train.labels, classes)[rows]
        after, mixed = drawn["augment"](before, targets, first, 0)
        return Samples(
            stage.name,
            experiment.augmentation_of(stage).name,
            before[:count],
            np.clip(to_numpy(after)[:count], 0, 255).astype(np.uint8),
            to_numpy(mixed)[:count],
            exact=bool(drawn["augmentation_key"]),
        )
    return None
