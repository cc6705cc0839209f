"""The images of an experiment that may be learned from: to train and validate on, in folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.hygiene.findings import Examination
from kerascnn.engine.data.sources.download import reporting
from kerascnn.engine.data.splits.folds import draw_folds
from kerascnn.engine.data.store.packed import Data, Packed
from kerascnn.engine.load import examine, load_data, load_pooled
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.text import counted

FOLDS = 5


@dataclass(frozen=True)
class FoldedImages:
    """The training images, then the validation images.

    Args:
        data: All splits; the test images belong to no fold.
        examination: What is wrong with them.
        labels: int64 [N].
        folds: Of each image, 0 to 4: int64 [N].
    """

    data: Data
    examination: Examination
    labels: np.ndarray
    folds: np.ndarray

    @property
    def classes(self) -> int:
        return len(self.data.class_names)

    @property
    def splits(self) -> tuple[Packed, Packed]:
        return self.data.train, self.data.validation

    @property
    def names(self) -> Sequence[str]:
        """See `Packed.name`."""
        return [split.name(row) for split in self.splits for row in range(len(split))]


def load_images(experiment: BoundExperiment, observer: Observer) -> FoldedImages:
    """Starts the backend, loads and examines the images, and draws their folds.

    The folds follow from the content of all images, those of the test split included.
    """
    backend = start_backend(experiment.training.backend)
    observer.started(experiment.name, backend, device_name())
    with reporting(observer.download):
        data = load_data(experiment, observer)
        examination = examine(data, experiment, observer)
        drawn = draw_folds(load_pooled(experiment, Observer()), FOLDS)
    splits = (data.train, data.validation)
    labels = np.concatenate([split.labels for split in splits])
    fold_of = {
        content.tobytes(): fold
        for content, fold in zip(drawn.pooled.images.contents, drawn.fold, strict=True)
    }
    contents = np.concatenate([split.contents for split in splits])
    folds = np.array([fold_of[content.tobytes()] for content in contents])
    return FoldedImages(data, examination, labels, folds)


def require_every_fold(images: FoldedImages, needs: str) -> None:
    """Raises InputError if a class has fewer images than there are folds.

    Args:
        needs: What needs them, such as "a probe".
    """
    least = int(np.bincount(images.labels)[np.unique(images.labels)].min())
    if least < FOLDS:
        raise InputError(
            f"the smallest class has {counted(least, 'training or validation image')}; {needs} "
            f"needs {FOLDS} per class."
        )
