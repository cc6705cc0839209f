"""The splits that train: those of a run, of which a stage may leave out the last."""

import numpy as np

from kerascnn.engine.data.splits.divided import SPLITS
from kerascnn.engine.data.store.packed import Data, Packed
from kerascnn.experiment.bound import BoundStage
from kerascnn.experiment.training import Training

TRAINING_SPLITS = {"train": SPLITS[:1], "train+validation": SPLITS[:2], "all": SPLITS}
"""The splits that train, by `train_on`."""


def stage_images(stage: BoundStage, training: Training, data: Data) -> Packed:
    """The images that a stage trains on: the first of those in the training split.

    Args:
        data: Has the images of all splits that train in the training split.
    """
    own, of_run = TRAINING_SPLITS[stage.train_on], TRAINING_SPLITS[training.train_on]
    others = sum(len(data.splits()[name]) for name in of_run[len(own) :])
    return data.train.at(np.arange(len(data.train) - others)) if others else data.train
