"""Augmented images as a stage sees them."""

from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.batches.augment import Augmenter
from kerascnn.engine.data.batches.blocks import blocks_of
from kerascnn.engine.data.batches.feed import shuffled
from kerascnn.engine.data.splits.training_splits import stage_images
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.plan import augmentation
from kerascnn.results.report.gather import Material
from kerascnn.runtime.compilation import BATCH_SIZE


@dataclass(frozen=True)
class Samples:
    """Augmented images of a stage's first step in which the original is recognizable.

    Args:
        stage: The stage's name.
        augmentation: The component's name.
        before: Images as stored, uint8 [N, P, P, 3].
        after: Images as the network saw them, uint8 [N, S, S, 3].
        labels: int [N].
        shares: float [N], the share of the original in the augmented image.
        partners: int [N], the label of the image mixed in most.
        exact: Whether the stage saw exactly these, or others drawn the same way.
    """

    stage: str
    augmentation: str
    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray
    shares: np.ndarray
    partners: np.ndarray
    exact: bool


def augmented(material: Material, count: int) -> Samples | None:
    """Some augmented images of the last stage that augments; None if none does."""
    experiment, data = material.experiment, material.data
    if data is None:
        return None
    for index, stage in reversed(list(enumerate(experiment.stages))):
        first = 0 if stage.settings.views else 1  # views count from 0, epochs from 1
        train = stage_images(stage, experiment.training, data)
        blocks = blocks_of(train, experiment.training)
        order = shuffled(len(train), (experiment.seed, index), first, blocks)
        rows = order[: stage.batch_size]
        # one class per image, so that the mixed labels are the shares of the images
        drawn = augmentation(experiment, index, len(rows))
        if not drawn:
            continue
        if not first and drawn["augment"].view:
            rows = rows[:BATCH_SIZE]
        before, after, mixed = _batch(train, rows, drawn["augment"], first)
        shares, others = mixed.diagonal(), mixed * (1 - np.eye(*mixed.shape))
        shown = _recognisable(shares)[:count]
        return Samples(
            stage.name,
            stage.augmentation.name,
            before[shown],
            np.clip(after[shown], 0, 255).astype(np.uint8),
            train.labels[rows][shown],
            shares[shown],
            train.labels[rows][others.argmax(1)][shown],
            exact=bool(drawn["augmentation_key"]),
        )
    return None


def _batch(
    train: Packed, rows: np.ndarray, augment: Augmenter, first: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images before and after, and the share of each of them [B, B] in each.

    Where stored activations are mixed, the images before them are shown.
    """
    before, itself = train.images[rows], np.eye(len(rows), dtype=np.float32)
    if first or not augment.view:
        after, mixed = augment.afresh(before, itself, first, 0)
        return before, to_numpy(after), to_numpy(mixed)
    return before, augment.view(before, train.digests[rows], itself, first), itself


def _recognisable(shares: np.ndarray) -> np.ndarray:
    """The rows in which the original has more than half, else those with its largest share."""
    most = np.flatnonzero(shares > 0.5)
    return most if len(most) else np.argsort(-shares, kind="stable")
