"""What a run's model says of pictures."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn import runtime
from kerascnn.data.hygiene import listed
from kerascnn.data.images import ImageLike, pictures_below, prepare_image, shown
from kerascnn.data.store import BadPicturesError, pack
from kerascnn.data.windows import Centred, packed_size
from kerascnn.errors import InputError
from kerascnn.metrics import ranked
from kerascnn.network.inference import Forward
from kerascnn.observer import Observer
from kerascnn.runs import Result, find_run, load_model

NO_LABEL = 0  # of pictures whose class is asked for


@dataclass(frozen=True)
class Prediction:
    """What the model takes a picture for.

    Args:
        probability: Of the label, 0 to 1.
        top: The most probable labels, each with its probability, the most probable first.
    """

    image: str
    label: str
    probability: float
    top: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def predict_images(
    run: str | Result,
    images: Iterable[str | Path],
    *,
    top: int = 5,
    backend: str = "auto",
    observer: Observer | None = None,
) -> list[Prediction]:
    """Predicts the classes of pictures.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result.
        images: Paths of pictures. Folders may be among them: then all pictures in those are
            predicted too, at any depth, and those that cannot be read are left out.
        top: How many labels each prediction lists.
        backend: "tensorflow", "jax", "torch", or "auto": any; a model is not bound to one.
        observer: Is told of pictures that are left out; default nobody.

    Raises:
        InputError: No such run, pictures that cannot be read, each named, or folders without any.
    """
    runtime.select_backend(backend)
    result = run if isinstance(run, Result) else find_run(run)
    paths = [str(image) for image in images]
    if any(map(os.path.isdir, paths)):
        paths, pictures = _found(paths, result, observer or Observer())
    else:
        pictures = read_pictures(paths, result)
    probabilities = probabilities_of(result, pictures, backend)
    guesses = [best_guesses(row, result.class_names, top) for row in probabilities]
    return [
        Prediction(path, **best[0], top=best) for path, best in zip(paths, guesses, strict=True)
    ]


def _found(paths: Sequence[str], result: Result, observer: Observer) -> tuple[list[str], Any]:
    """The pictures at the paths and below them: their own paths, and uint8 [N, P, P, 3]."""
    files = [file for path in map(Path, paths) for file in pictures_below(path)]
    if not files:
        raise InputError(f"there are no pictures in {', '.join(map(shown, paths))}.")
    training = result.training
    packed = pack(
        [(file, NO_LABEL) for file in files],
        packed_size(training.image_size, training.crop_margin),
        training.resize,
        partial(observer.progress, "packing"),
        what=", ".join(map(shown, paths)),
        skip_bad=True,
    )
    if not len(packed):
        raise BadPicturesError(packed.skipped)
    if packed.skipped:
        count = len(packed.skipped)
        observer.warned(listed("{} cannot be read", packed.skipped, count))
    read = [str(packed.source[row][0]) for row in range(len(packed))]
    return read, packed.images


def probabilities_of(result: Result, pictures: Any, backend: str = "auto") -> np.ndarray:
    """Runs the model of a run over packed pictures uint8 [N, P, P, 3]: float32 [N, K]."""
    training = result.training
    runtime.start(backend)
    windows = Centred(pictures, training.image_size)
    return Forward(load_model(result))(windows, min(training.batch_size, len(pictures)))


def read_pictures(images: Sequence[ImageLike], result: Result) -> np.ndarray:
    """Prepares pictures as those that the run was trained on: uint8 [N, P, P, 3].

    Raises:
        InputError: Some cannot be read, each named.
    """
    training = result.training
    size = packed_size(training.image_size, training.crop_margin)
    pictures, faults = [], []
    for image in images:
        try:
            pictures.append(prepare_image(image, size, training.resize))
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    return np.stack(pictures)


def best_guesses(row: np.ndarray, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The most probable labels of float32 [K], each with its probability."""
    return [
        {"label": names[index], "probability": float(row[index])} for index in ranked(row)[:top]
    ]
