"""What a run's model says of pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn import runtime
from kerascnn.data.images import ImageLike, prepare_image
from kerascnn.data.windows import Centred, packed_size
from kerascnn.errors import InputError
from kerascnn.network.inference import Forward
from kerascnn.runs import Result, find_run, load_model


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
    run: str | Result, images: Iterable[str | Path], *, top: int = 5, backend: str = "auto"
) -> list[Prediction]:
    """Predicts the classes of pictures.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result.
        images: Paths of pictures.
        top: How many labels each prediction lists.
        backend: "tensorflow", "jax", "torch", or "auto": any; a model is not bound to one.

    Raises:
        InputError: No such run, or pictures that cannot be read, each named.
    """
    runtime.select_backend(backend)
    result = run if isinstance(run, Result) else find_run(run)
    paths = [str(image) for image in images]
    pictures = read_pictures(paths, result)
    probabilities = probabilities_of(result, pictures, backend)
    guesses = [best_guesses(row, result.class_names, top) for row in probabilities]
    return [
        Prediction(path, **best[0], top=best) for path, best in zip(paths, guesses, strict=True)
    ]


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
    order = row.argsort()[::-1][:top]
    return [{"label": names[index], "probability": float(row[index])} for index in order]
