"""Evaluates a run's model on other labelled images."""

import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.components.registry import load_registry
from kerascnn.engine.data.decoding.preparation import Centred
from kerascnn.engine.data.splits.divided import IMAGES, Divided
from kerascnn.engine.data.splits.training_splits import TRAINING_SPLITS
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.metrics.named import Measured, measure_named
from kerascnn.engine.metrics.score import Metrics, measure
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError, did_you_mean
from kerascnn.hookspecs import Splits
from kerascnn.results.find import find_run
from kerascnn.results.inference.images import packed_for
from kerascnn.results.inference.predict import outputs_of
from kerascnn.results.known.caution import Caution
from kerascnn.results.known.held_out import held_out
from kerascnn.results.metrics import built_metrics, listed_metrics
from kerascnn.results.predictions import Predictions, predictions_of
from kerascnn.runtime.arguments import expect, expect_share
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import nfc


@dataclass(frozen=True)
class Mistake:
    """A misclassified image.

    Args:
        probability: Of the predicted class, 0 to 1.
        of_label: Probability of the true class.
    """

    image: str
    label: str
    predicted: str
    probability: float
    of_label: float


@dataclass(frozen=True)
class Cautious:
    """What the images would have been spared or given with `reject` and `coverage`.

    Args:
        rejected: The share refused as none of the classes; None if not asked for.
        rejected_interval: 95% (Wilson).
        accuracy: On the images that are not refused; None likewise, or if all are.
        coverage: The share whose set has the right class; None if not asked for.
        coverage_interval: 95% (Wilson).
        set_size: Classes in a set, on average.
        asked: The thresholds, as in `Caution.to_json`.
    """

    rejected: float | None = None
    rejected_interval: tuple[float, float] | None = None
    accuracy: float | None = None
    coverage: float | None = None
    coverage_interval: tuple[float, float] | None = None
    set_size: float | None = None
    asked: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, caution: Caution, said: Predictions, features: np.ndarray | None) -> "Cautious":
        """Of images with these predictions and features [N, F]."""
        count, found = len(said), dict[str, Any]()
        if features is not None:
            refused, _ = caution.rejected(features)
            right = (said.predicted == said.labels)[~refused]
            found["rejected"] = float(refused.mean())
            found["rejected_interval"] = wilson_interval(int(refused.sum()), count)
            found["accuracy"] = float(right.mean()) if len(right) else None
        if caution.covers:
            sets = caution.sets(said.probabilities)
            held = sets[np.arange(count), said.labels]
            found["coverage"] = float(held.mean())
            found["coverage_interval"] = wilson_interval(int(held.sum()), count)
            found["set_size"] = float(sets.sum(1).mean())
        return cls(**found, asked=caution.to_json())

    def to_json(self) -> dict[str, Any]:
        """Without what was not asked for."""
        of = asdict(self)
        return {key: of[key] for key in of if of[key] is not None}


@dataclass(frozen=True, repr=False)
class Evaluation(Metrics):
    """The metrics of a run's model on a folder of images.

    Args:
        result: The run.
        data: The folder.
        test: The predictions.
        windows: The images as the network sees them, uint8 [N, S, S, 3].
        engine: What computed the predictions, as of `Prediction`.
        metrics: The metrics that the run's experiment lists, by name.
        cautious: With `reject` or `coverage`; else None.
    """

    result: Result
    data: str
    test: Predictions
    windows: Centred
    engine: str = ""
    metrics: dict[str, Measured] = field(default_factory=dict)
    cautious: Cautious | None = None

    def pixels(self) -> Centred:
        return self.windows

    @property
    def mistakes(self) -> list[Mistake]:
        """The misclassified images, the most confident mistakes first."""
        names, test = self.result.class_names, self.test
        mistakes = [
            Mistake(
                image=test.names[row],
                label=names[test.labels[row]],
                predicted=names[test.predicted[row]],
                probability=float(test.probabilities[row].max()),
                of_label=float(test.probabilities[row, test.labels[row]]),
            )
            for row in test.wrong
        ]
        return sorted(mistakes, key=lambda mistake: -mistake.probability)

    @property
    def scores(self) -> dict[str, Any]:
        """Only the metrics of every run, for JSON."""
        return Metrics(**{of.name: getattr(self, of.name) for of in fields(Metrics)}).to_json()

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.result.run_id,
            "data": self.data,
            "temperature": self.result.temperature,
            "engine": self.engine,
            **self.scores,
            "metrics": self.metrics,
            **({"cautious": self.cautious.to_json()} if self.cautious else {}),
            "class_names": self.result.class_names,
            "mistakes": [asdict(mistake) for mistake in self.mistakes],
        }


@contained()
def evaluate_run(
    run: str | Result,
    data: str | Path,
    *,
    backend: str = "auto",
    observer: Observer | None = None,
    reject: float | None = None,
    coverage: float | None = None,
) -> Evaluation:
    """Evaluates a run's model on a folder of class folders.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result.
        data: The folder, laid out as for the dataset `image_folder`; all its images are used. Links
            out of it are followed if the run's dataset followed them.
        backend: "tensorflow", "jax", "torch", or "auto": any.
        registry: The components; default all installed ones.
        observer: Receives notes on images that the run has seen; default they are shown,
            `Observer()` discards them.
        reject, coverage: As of `predict_images`; `Evaluation.cautious` says what they come to.

    Raises:
        InputError: No such run or folder, an unknown class, or unreadable images; or the run keeps
            too little for `reject` or `coverage`.
    """
    expect(data, (str, os.PathLike), "data", " Give a folder of class folders.")
    result, observer = find_run(run), observer or default_observer()
    caution = Caution(result, expect_share(reject, "reject"), expect_share(coverage, "coverage"))
    said, windows, features, engine = predict_folder(
        result, data, backend=backend, observer=observer, caution=caution
    )
    measured = measure(said.probabilities, said.labels, tuple(result.class_names))
    metrics = built_metrics(
        listed_metrics([result], observer.warned), result.class_names, observer.warned
    )
    return Evaluation(
        **vars(measured),
        result=result,
        data=str(data),
        test=said,
        windows=windows,
        engine=engine,
        metrics=measure_named(
            metrics, said.labels, said.probabilities, "evaluated", observer.warned
        ),
        cautious=Cautious.of(caution, said, features) if caution.to_json() else None,
    )


def predict_folder(
    result: Result,
    data: str | Path,
    *,
    backend: str = "auto",
    observer: Observer | None = None,
    caution: Caution | None = None,
) -> tuple[Predictions, Centred, np.ndarray | None, str]:
    """The predictions of a run's model for a folder of class folders; see `evaluate_run`.

    Args:
        caution: Applied to them afterwards, if any.

    Returns:
        The predictions, with labels by the run's classes, the images as the network sees them,
        uint8 [N, S, S, 3], their features [N, F] if the caution needs them, and what computed, see
        `Evaluation.engine`.
    """
    observer = observer or default_observer()
    follow_links = result.experiment["dataset"].get("follow_links", False)
    registered = load_registry().get("dataset", "image_folder")
    folder = registered.bind({"path": str(data), "follow_links": follow_links, "only_test": True})
    splits: Splits = folder.build(seed=0)
    index_of = _indices(splits, result, data)
    packed = packed_for(result, splits.test, observer)
    probabilities, features, engine = outputs_of(
        result, packed.images, backend, observer.warned, bool(caution and caution.rejects)
    )
    said = replace(predictions_of(packed, probabilities), labels=index_of[packed.labels])
    _warn_of_seen(result, packed, said, observer)
    if caution and caution.to_json():
        _warn_of_thresholds(result, packed, observer)
    return said, Centred(packed.images, result.training.image_size), features, engine


def _warn_of_seen(result: Result, packed: Packed, said: Predictions, observer: Observer) -> None:
    """Warns of images that the run was trained or validated on."""
    seen = _among(packed, result, "validation", *TRAINING_SPLITS[result.training.train_on])
    if not seen.any():
        return
    message = (
        f"run {result.run_id[:8]} was trained or validated on {seen.sum():,} of these "
        f"{len(seen):,} images"
    )
    if not seen.all():
        new, names = ~seen, tuple(result.class_names)
        others = measure(said.probabilities[new], said.labels[new], names)
        low, high = others.interval
        message += f"; on the others its accuracy is {others.accuracy:.3f} [{low:.3f}, {high:.3f}]"
    observer.warned(message)


def _warn_of_thresholds(result: Result, packed: Packed, observer: Observer) -> None:
    """Warns of test images that refusals and sets of classes were set by.

    Of validation images `_warn_of_seen` does.
    """
    split = held_out(result)
    if split == "test" and (count := _among(packed, result, split).sum()):
        observer.warned(
            f"the thresholds of run {result.run_id[:8]} were set by {count:,} of these "
            f"{len(packed):,} images, so what they refuse and cover here is what was asked for"
        )


def _among(packed: Packed, result: Result, *splits: str) -> np.ndarray:
    """Which of the prepared images stood in one of these splits of the run: bool [N]."""
    if not (result.folder / IMAGES).is_file():
        return np.zeros(len(packed), np.bool_)
    return Divided.read(result.folder).chosen(*splits).find(packed) >= 0


def _indices(splits: Splits, result: Result, data: str | Path) -> np.ndarray:
    """The model's index of each class in the folder: int64 [classes of the folder]."""
    known = [nfc(name) for name in result.class_names]
    names = [nfc(name) for name in splits.class_names]
    for name in names:
        if name not in known:
            raise InputError(
                f'{data}: the model of run {result.run_id[:8]} has no class "{name}".'
                f"{did_you_mean(name, known)} Its classes: {', '.join(known[:20])}."
            )
    return np.array([known.index(name) for name in names])
