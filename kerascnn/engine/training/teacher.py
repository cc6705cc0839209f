"""A teacher: a trained network whose probabilities are a stage's labels.

Hinton et al. 2015 (arXiv 1503.02531). The teacher sees the same augmented image as the student
(Beyer et al. 2022, arXiv 2106.05237).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.augment import Augmenter
from kerascnn.engine.data.batches.feed import OneHot
from kerascnn.engine.network.inference import Forward, to_numpy
from kerascnn.engine.training.undisturbed import undisturbed


@dataclass(frozen=True)
class Teacher:
    """A trained network that teaches another.

    Args:
        run: Its id.
        key: Identifies what it says of an image.
        share: Of a label that is the teacher's; the rest is the true class.
        build: Makes its network: from images [B, S, S, 3] as the student sees them to probabilities
            [B, K].
        tested: Of the test images that both it and the student are tested on, gives the student's
            rows, the teacher's rows, and the teacher's classes: int [N] each.
    """

    run: str
    key: str
    share: float
    build: Callable[[], Any]
    tested: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]

    @cached_property
    def model(self) -> Any:
        """Made when it is needed first, without an effect on what the student draws."""
        with undisturbed():
            model = self.build()
        model.trainable = False
        return model

    def labels(self, said: Any, labels: Any) -> Any:
        """Both mixed by `share`: targets [B, K], of the teacher's probabilities and the labels."""
        return said if self.share == 1 else self.share * said + (1 - self.share) * labels

    def teaching(self, augment: Augmenter) -> Augmenter:
        """The augmenter, with the teacher's labels for what it makes of images in a step."""
        forward = Forward(self.model)

        def afresh(images: Any, targets: Any, epoch: int, step: int) -> tuple[Any, Any]:
            inputs, labels = augment.afresh(images, targets, epoch, step)
            said = forward(to_numpy(inputs), len(inputs))
            return inputs, self.labels(said, to_numpy(labels))

        return replace(augment, afresh=afresh)


@dataclass(frozen=True)
class Taught:
    """Targets float32 [N, K] of one view: the teacher's probabilities, mixed with the labels."""

    teacher: Teacher
    said: Any  # float32 [N, K], or indexed like it
    labels: OneHot

    def __getitem__(self, chosen: Any) -> np.ndarray:
        return self.teacher.labels(np.asarray(self.said[chosen]), self.labels[chosen])
