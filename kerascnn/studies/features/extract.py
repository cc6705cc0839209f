"""What an experiment's network knows of its images before training, without computing it twice."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.studies.features.classifier import out_of_fold
from kerascnn.studies.features.images import FoldedImages, load_images
from kerascnn.studies.features.network import Extractor, prepare_features, without_head


@dataclass(frozen=True)
class ImageFeatures:
    """The images of an experiment, and their features by its network without the head.

    Args:
        images: Which they are, with their labels and folds.
        extractor: Gives the features of other images, such as those of the test split.
        values: float32 [N, F], the training images first, then the validation images.
        stored: Number of images whose features the cache had.
    """

    images: FoldedImages
    extractor: Extractor
    values: np.ndarray
    stored: int

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Those of a linear probe, out of fold: float32 [N, K]."""
        images = self.images
        return out_of_fold(self.values, images.labels, images.folds, images.classes)


def extract_features(experiment: BoundExperiment, observer: Observer) -> ImageFeatures:
    """Runs the network of an experiment, without its head, once over its images.

    The cache has the features of images that it ran over before. Nothing is trained.

    Args:
        experiment: From `load_experiment`; its stages decide nothing.
        observer: Receives progress events.

    Raises:
        InputError: The experiment is at fault, or nothing comes before its network's head.
    """
    images = load_images(experiment, observer)
    prepared = prepare_features(experiment, images, observer)
    extractor = without_head(experiment.architecture.name, prepared)
    features = extractor.features(images.splits, observer)
    return ImageFeatures(images, extractor, features.values, features.stored)
