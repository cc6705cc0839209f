"""The images of a probe: those to train and to validate on, in folds."""

from dataclasses import dataclass

import numpy as np

from kerascnn.engine.data.download import reporting
from kerascnn.engine.data.findings import Examination
from kerascnn.engine.data.folds import draw_folds
from kerascnn.engine.data.packed import Data
from kerascnn.engine.load import examine, load_data, load_pooled
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.text import counted

FOLDS = 5


@dataclass(frozen=True)
class ProbeImages:
    """The training images, then the validation images.

    Args:
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


def load_images(experiment: BoundExperiment, observer: Observer) -> ProbeImages:
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
    _check_classes(labels)
    fold_of = {
        content.tobytes(): fold
        for content, fold in zip(drawn.pooled.images.contents, drawn.fold, strict=True)
    }
    contents = np.concatenate([split.contents for split in splits])
    folds = np.array([fold_of[content.tobytes()] for content in contents])
    return ProbeImages(data, examination, labels, folds)


def _check_classes(labels: np.ndarray) -> None:
    least = int(np.bincount(labels)[np.unique(labels)].min())
    if least < FOLDS:
        raise InputError(
            f"the smallest class has {counted(least, 'training or validation image')}; a probe "
            f"needs {FOLDS} per class."
        )
