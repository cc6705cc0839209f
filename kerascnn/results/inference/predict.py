"""What a run's model predicts for images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.images import ImageLike
from kerascnn.engine.data.decoding.preparation import Centred
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.metrics.score import ranked
from kerascnn.engine.network.predictor import answering, predictor
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.result.run import Result
from kerascnn.results.find import find_run
from kerascnn.results.inference.images import (
    collect_images,
    has_folder,
    image_names,
    listed_images,
    read_images,
)
from kerascnn.results.known.caution import Caution
from kerascnn.runtime.arguments import expect_count, expect_share
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import abbreviated
from kerascnn.runtime.versions import installed_versions

NONE_OF_THESE = "none of these"
"""What is said of an image that is refused."""


@dataclass(frozen=True)
class Prediction:
    """The predicted class of an image.

    Args:
        probability: Of the label, 0 to 1.
        top: The most probable labels with their probabilities, the most probable first.
        engine: What computed it, with its version: "OpenVINO 2026.4.1" or "tensorflow 2.21.0".
        rejected: Whether it is refused as none of the classes; None if `reject` was not asked for.
        score: How little it resembles the images of the run; None likewise.
        classes: The smallest set of labels that has the right one as often as asked, the most
            probable first; None if no `coverage` was asked for.
    """

    image: str
    label: str
    probability: float
    top: list[dict[str, Any]]
    engine: str = ""
    rejected: bool | None = None
    score: float | None = None
    classes: list[str] | None = None

    def __repr__(self) -> str:
        guesses = [f"{guess['label']} {guess['probability']:.3f}" for guess in self.top]
        refused = f"{NONE_OF_THESE}; " if self.rejected else ""
        return f"{self.image}: {refused}{abbreviated(guesses)}"

    def to_json(self) -> dict[str, Any]:
        """Without what was not asked for."""
        of = asdict(self)
        return {key: of[key] for key in of if key != "engine" and of[key] is not None}


@contained()
def predict_images(
    run: str | Result,
    images: ImageLike | Iterable[ImageLike],
    *,
    top: int = 5,
    backend: str = "auto",
    observer: Observer | None = None,
    reject: float | None = None,
    coverage: float | None = None,
) -> list[Prediction]:
    """Predicts the classes of images.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result; `result.uncalibrated` gives
            the probabilities as trained.
        images: One image or several: paths, encoded bytes, arrays uint8 [H, W, C] or
            [N, H, W, C], Pillow images. Every image in a folder is predicted, at any depth; those
            that cannot be read are left out. Images without a path are named "image 1",
            "image 2", … by their position.
        top: Labels listed per prediction.
        backend: "tensorflow", "jax", "torch", or "auto": any; it need not be the one of training.
        observer: Receives notes on images left out, and on OpenVINO if it cannot run the network;
            default they are shown, `Observer()` discards them.
        reject: The share of images of the run's classes that may be refused as none of them, 0 to
            1; default none is. See `Caution`.
        coverage: The share of images whose set of classes has to have the right one, 0 to 1;
            default no sets.

    Raises:
        InputError: No such run, images that cannot be read, each named, or folders without any; or
            the run keeps too little for `reject` or `coverage`.
    """
    expect_count(top, "top")
    given = listed_images(images)
    select_backend(backend)
    result, observer = find_run(run), observer or default_observer()
    caution = Caution(result, expect_share(reject, "reject"), expect_share(coverage, "coverage"))
    prepared: Any
    if has_folder(given):
        names, prepared = collect_images(given, result, observer)
    else:
        names, prepared = image_names(given), read_images(given, result)
    probabilities, features, engine = outputs_of(
        result, prepared, backend, observer.warned, caution.rejects
    )
    guesses = [best_guesses(row, result.class_names, top) for row in probabilities]
    checked = caution.about(probabilities, features)
    return [
        Prediction(name, **best[0], top=best, engine=engine, **more)
        for name, best, more in zip(names, guesses, checked, strict=True)
    ]


def outputs_of(
    result: Result,
    images: Any,
    backend: str,
    warned: Callable[[str], None],
    with_features: bool = False,
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """What a run's network says of packed images uint8 [N, P, P, 3].

    Returns:
        Calibrated probabilities, float [N, K]; features of unit length, float32 [N, F], or None,
        as they take far more memory; and what computed, see `Prediction.engine`.
    """
    started, training = start_backend(backend), result.training
    how = len(images), training.images_at_once, training.prefix_engine, result.name, warned
    windows = Centred(images, training.image_size)
    if with_features:
        answer = answering(result.model, *how)
        fastest, said = answer.fastest, answer(windows)
        probabilities, features = said.probabilities, said.features
    else:
        fastest, features = predictor(result.model, *how), None
        probabilities = fastest.outputs(windows)
    engine = fastest.engine or f"{started} {installed_versions()[started]}"
    return tempered(probabilities, result.temperature), features, engine


def best_guesses(row: np.ndarray, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The most probable labels of probabilities [K], each with its own."""
    return [
        {"label": names[index], "probability": float(row[index])} for index in ranked(row)[:top]
    ]
