"""The result of a study of folds: typed, versioned, and readable from any `folds.json`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

import kerascnn
from kerascnn.engine.metrics.calibration import AS_TRAINED
from kerascnn.engine.metrics.named import Measured
from kerascnn.engine.result.run import PREDICTIONS, training_of
from kerascnn.engine.result.versioned import known_fields, read_json
from kerascnn.experiment.training import Training
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.screen import accuracy, first_rows, screen
from kerascnn.runtime.text import counted

VERSION = 1
"""Of `folds.json`."""

FOLDS = "folds.json"
FOLDS_PLAN = "folds.toml"
FOLDS_PAGE = "folds.html"


def divided(k: int, repeats: int) -> str:
    """Such as "5 folds" or "5 folds, 3 times"."""
    return f"{k} folds" + (f", {repeats} times" if repeats > 1 else "")


class FoldTable(TypedDict):
    """A fold of a study.

    Args:
        repeat: 1 to that of the repeats.
        fold: 1 to that of the folds.
        accuracy: Of its network on its images, with the 95% interval (Wilson).
        run_id: Of the run that trained it.
        temperature: That calibrates its probabilities.
        prefix_seconds: Running the frozen prefix.
        rows_made: The activations that were computed for it; others were in the cache.
    """

    repeat: int
    fold: int
    accuracy: float
    interval: list[float]
    images: int
    run_id: str
    temperature: float
    epochs: int
    seconds: float
    prefix_seconds: float
    rows_made: int


@dataclass(frozen=True, kw_only=True)
class FoldsResult:
    """The result of a study of folds: every image tested by a network that never saw it.

    Args:
        version: Of the file that it was read from, else `VERSION`.
        run_id: MLflow's id of the study.
        name: The experiment's name.
        backend: The backend that it was trained on.
        accuracy: The share of predictions that are correct, 0 to 1.
        interval: 95%, by images: see `engine.metrics.significance.repeated_interval`.
        images: Number of images; each has as many predictions as there are repeats.
        k: Number of folds.
        repeats: How often the images were divided.
        folds: One table per fold and repeat.
        test: All metrics of the predictions, as in `engine.metrics.score.Metrics`; those of all
            folds together, each calibrated by its fold's temperature.
        metrics: The experiment's metrics by name, in the same way.
        class_names: In the order of the probabilities.
        parameters: Number of weights of one network.
        seconds: Of all processes that worked on it.
        experiment: The resolved experiment.
        plugins: The package of each component.
        artifacts: The study's folder.
        tested: Hash of the images and labels, in their order.
        device: The device that it was trained on.
        versions: Of Python and the packages that affect the result.
        ended: Time of the end, in ISO 8601.
        notes: Remarks on the data.
    """

    version: int = VERSION
    run_id: str
    name: str
    backend: str
    accuracy: float
    interval: tuple[float, float]
    images: int
    k: int
    repeats: int
    folds: list[FoldTable]
    test: dict[str, Any]
    metrics: dict[str, Measured]
    class_names: list[str]
    parameters: int
    seconds: float
    experiment: dict[str, Any]
    plugins: dict[str, str]
    artifacts: str
    tested: str
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    ended: str = ""
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "FoldsResult":
        """Reads `folds.json` of any version, ignoring unknown keys with a warning.

        Raises:
            InputError: It is not a JSON object, or lacks a key that every version has.
        """
        read = known_fields(cls, read_json(file), str(file), FOLDS, VERSION)
        return cls(**{**read, "interval": tuple(read["interval"])})

    @property
    def folder(self) -> Path:
        return Path(self.artifacts)

    @property
    def predictions(self) -> Path:
        """The table of all predictions."""
        return self.folder / PREDICTIONS

    @property
    def page(self) -> Path:
        """The page, where it could be written."""
        return self.folder / FOLDS_PAGE

    @property
    def spread(self) -> tuple[float, float, float]:
        """Of the folds' accuracies the standard deviation, the least and the greatest."""
        values = [fold["accuracy"] for fold in self.folds]
        return float(np.std(values, ddof=1)), min(values), max(values)

    @property
    def chance(self) -> float:
        """The standard deviation that folds would have if only their images differed (binomial)."""
        of_folds = ((fold["accuracy"], fold["images"]) for fold in self.folds)
        return float(np.mean([share * (1 - share) / count for share, count in of_folds])) ** 0.5

    @property
    def training(self) -> Training:
        """Settings shared by the stages, such as how to prepare images."""
        return training_of(self.experiment)

    @property
    def test_accuracy(self) -> float:
        return self.accuracy

    @property
    def test_accuracy_interval(self) -> tuple[float, float]:
        return self.interval

    @property
    def temperature(self) -> float:
        """None is to be applied: the predictions are calibrated fold by fold."""
        return AS_TRAINED

    @property
    def history(self) -> list[dict[str, Any]]:
        """Each fold's run has its own."""
        return []

    @property
    def divided(self) -> str:
        """Such as "5 folds" or "5 folds, 3 times"."""
        return divided(self.k, self.repeats)

    def to_json(self) -> dict[str, Any]:
        """The fields, with `predictions` (a path) and `spread`."""
        names = ("standard_deviation", "least", "greatest")
        spread = dict(zip(names, self.spread, strict=True)) | {"by_chance": self.chance}
        return {**asdict(self), "predictions": str(self.predictions), "spread": spread}

    def write(self) -> None:
        write_whole(self.folder / FOLDS, json.dumps(asdict(self), indent=2))

    def __repr__(self) -> str:
        deviation, least, greatest = self.spread
        classes = [
            (name, f"recall {of['recall']:.3f} of {counted(of['images'], 'prediction')}")
            for name, of in self.test["per_class"].items()
        ]
        rows = [
            ("accuracy", f"{accuracy(self.accuracy, self.interval)} on {self.images:,} images"),
            ("folds", f"{least:.3f} to {greatest:.3f}, standard deviation {deviation:.3f}"),
            *first_rows(classes),
            ("folder", self.artifacts),
        ]
        return screen(f"{self.divided} of {self.name} · run {self.run_id[:8]}", rows)

    def _repr_html_(self) -> str:
        """The display in a notebook."""
        return kerascnn.as_html(self)
