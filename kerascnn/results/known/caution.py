"""Predictions with caution: images that are refused, and sets of classes instead of one."""

from typing import Any

import numpy as np

from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.metrics.conformal import prediction_sets, set_threshold
from kerascnn.engine.metrics.score import ranked
from kerascnn.engine.result.run import Result
from kerascnn.results.known.held_out import held_out, held_out_predictions
from kerascnn.results.known.rejection import Rejection


class Caution:
    """Which images a run refuses, and which classes an image may have.

    Args:
        run: The run; its temperature calibrates the probabilities.
        reject: The share of images of its classes that may be refused, 0 to 1, exclusive; None:
            none is.
        coverage: The share of images whose set has their class, 0 to 1, exclusive; None: no sets.

    Raises:
        InputError: The run keeps no features, or too few held-out images for what is asked.
    """

    def __init__(self, run: Result, reject: float | None, coverage: float | None) -> None:
        self._names, self._coverage = run.class_names, coverage
        self._rejection = None if reject is None else Rejection(run, reject)
        self._least = 0.0
        if coverage is not None:
            said = held_out_predictions(run)
            calibrated = tempered(said.probabilities, run.temperature)
            self._least = set_threshold(calibrated, said.labels, coverage, held_out(run))

    @property
    def rejects(self) -> bool:
        """Whether it needs features."""
        return self._rejection is not None

    @property
    def share(self) -> float | None:
        """Of images of the run's classes that may be refused; None: none is."""
        return self._rejection.share if self._rejection else None

    @property
    def covers(self) -> bool:
        """Whether it gives sets of classes."""
        return self._coverage is not None

    def rejected(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which images are refused, bool [N], and their scores [N], by their features [N, F]."""
        assert self._rejection
        scores = self._rejection.scores(features)
        return scores > self._rejection.threshold, scores

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """The classes in each image's set, bool [N, K], by calibrated probabilities [N, K]."""
        return prediction_sets(probabilities, self._least)

    def about(self, probabilities: np.ndarray, features: np.ndarray | None) -> list[dict[str, Any]]:
        """For each image, what was asked for: `rejected` and `score`, and `classes`.

        Args:
            probabilities: Calibrated: [N, K].
            features: [N, F]; needed if it rejects, else not used.
        """
        said: list[dict[str, Any]] = [{} for _ in probabilities]
        if self._rejection and features is not None:
            for one, refused, score in zip(said, *self.rejected(features), strict=True):
                one |= {"rejected": bool(refused), "score": float(score)}
        if self.covers:
            for one, row, inside in zip(said, probabilities, self.sets(probabilities), strict=True):
                one["classes"] = [self._names[index] for index in ranked(row) if inside[index]]
        return said

    def to_json(self) -> dict[str, Any]:
        """What was asked for, with the thresholds."""
        asked: dict[str, Any] = {}
        if self._rejection:
            of = self._rejection
            asked["reject"] = {
                "share": of.share,
                "measure": of.measure,
                "threshold": of.threshold,
            }
        if self._coverage is not None:
            asked["coverage"] = {"share": self._coverage, "probability": self._least}
        return asked
