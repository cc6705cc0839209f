"""What the pages on a study of folds show: its predictions and the images."""

from dataclasses import dataclass, replace

import numpy as np

from kerascnn.engine.data.decoding.preparation import Centred, Preparation
from kerascnn.engine.data.store.packed import Pooled
from kerascnn.engine.load import load_pooled
from kerascnn.engine.metrics.significance import by_image
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.folds import FoldsResult
from kerascnn.errors import KerascnnError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.predictions import Predictions
from kerascnn.results.report.gather import calibrated_predictions


@dataclass(frozen=True)
class FoldsMaterial:
    """A study of folds with its images.

    Args:
        test: One prediction for each image: the mean of its probabilities over the repeats.
        pooled: The images; None if they are missing.
        missing: Why they are missing, in a sentence; "" if they are not.
    """

    result: FoldsResult
    test: Predictions
    pooled: Pooled | None
    missing: str = ""

    def pixels(self, repeats: int = 1) -> Centred | None:
        """The images as the networks see them, uint8 [N, S, S, 3]; all of them once a repeat."""
        if self.pooled is None:
            return None
        images = self.pooled.images
        every = images.at(np.tile(np.arange(len(images)), repeats)).images
        return Preparation.of(self.result.training).windows(every)


def gather_folds(
    result: FoldsResult, experiment: BoundExperiment, pooled: Pooled | None = None
) -> FoldsMaterial:
    """Collects what a study has written, and its images.

    Args:
        experiment: The study's, bound.
        pooled: The images; default they are loaded from the experiment's dataset.
    """
    missing = ""
    if pooled is None:
        pooled, missing = _find(result, experiment)
    return FoldsMaterial(result, _once(calibrated_predictions(result)), pooled, missing)


def _find(result: FoldsResult, experiment: BoundExperiment) -> tuple[Pooled | None, str]:
    """The images of a study, or why they are missing."""
    try:
        pooled = load_pooled(experiment, Observer())
    except (KerascnnError, OSError) as error:
        return None, str(error)
    if pooled.fingerprint != result.tested:
        return None, "the images differ from those of the study."
    return pooled, ""


def _once(said: Predictions) -> Predictions:
    count = len(said) // said.repeats
    return replace(
        said,
        names=said.names[:count],
        labels=said.labels[:count],
        probabilities=by_image(said.probabilities, said.repeats),
        digests=said.digests[:count],
        repeats=1,
    )
