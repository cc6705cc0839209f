"""What a run's model says of images."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kerascnn.engine.data.files import images_below, shown
from kerascnn.engine.data.images import IMAGE_TYPES, ImageLike, read_image
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.store import BadImagesError, pack
from kerascnn.engine.metrics.score import ranked
from kerascnn.engine.metrics.temperature import tempered
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.result import Result
from kerascnn.errors import InputError
from kerascnn.results.find import find_run
from kerascnn.runtime.arguments import as_list, expect_count
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.image_files import ignored_kind
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import abbreviated, itemized

LONGEST_PATH = 32_767  # characters, on Windows; elsewhere 4,096


@dataclass(frozen=True)
class Prediction:
    """What the model takes an image for.

    Args:
        probability: Of the label, 0 to 1.
        top: The most probable labels, each with its probability, the most probable first.
    """

    image: str
    label: str
    probability: float
    top: list[dict[str, Any]]

    def __repr__(self) -> str:
        guesses = [f"{guess['label']} {guess['probability']:.3f}" for guess in self.top]
        return f"{self.image}: {abbreviated(guesses)}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@contained()
def predict_images(
    run: str | Result,
    images: ImageLike | Iterable[ImageLike],
    *,
    top: int = 5,
    backend: str = "auto",
    observer: Observer | None = None,
) -> list[Prediction]:
    """Predicts the classes of images.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result; of `result.uncalibrated` the
            probabilities are those as trained.
        images: One image or several: paths, encoded bytes, arrays uint8 [H, W, C] or
            [N, H, W, C], images of Pillow's. Of a folder every image is predicted, at any depth,
            and those that cannot be read are left out. An image without a path is called "image 1",
            "image 2", … by its place.
        top: How many labels each prediction lists.
        backend: "tensorflow", "jax", "torch", or "auto": any; a model is not bound to one.
        observer: Receives notes on images left out; default they are shown, `Observer()`
            shows nothing.

    Raises:
        InputError: No such run, images that cannot be read, each named, or folders without any.
    """
    expect_count(top, "top")
    given = listed_images(images)
    select_backend(backend)
    result = find_run(run)
    if any(isinstance(image, str | os.PathLike) and os.path.isdir(image) for image in given):
        names, prepared = _found(given, result, observer or default_observer())
    else:
        names, prepared = image_names(given), read_images(given, result)
    probabilities = probabilities_of(result, prepared, backend)
    guesses = [best_guesses(row, result.class_names, top) for row in probabilities]
    return [
        Prediction(name, **best[0], top=best) for name, best in zip(names, guesses, strict=True)
    ]


def listed_images(images: ImageLike | Iterable[ImageLike]) -> list[ImageLike]:
    """One image or several, as a list.

    Raises:
        InputError: Something among them is of another type, or there are none.
    """
    if isinstance(images, np.ndarray) and images.ndim not in (0, 2, 3):
        images = list(images)
    listed = as_list(images, IMAGE_TYPES, "images")
    if not listed:
        raise InputError("images: expected at least one, got none.")
    for image in listed:
        if isinstance(image, str) and len(image) > LONGEST_PATH:
            raise InputError(f"images: a text of {len(image):,} characters is not a path.")
    return listed


def image_names(images: Sequence[ImageLike]) -> list[str]:
    """The path of each image; of one without, its place, from 1."""
    return [
        os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {place}"
        for place, image in enumerate(images, 1)
    ]


def _found(given: Sequence[ImageLike], result: Result, observer: Observer) -> tuple[list[str], Any]:
    """The images that were given, and those in folders: their names, and uint8 [N, P, P, 3]."""
    names, images = list[str](), list[ImageLike]()
    for name, image in zip(image_names(given), given, strict=True):
        is_path = isinstance(image, str | os.PathLike)
        here = images_below(Path(name)) if is_path else [_kept(image)]
        names += map(str, here) if is_path else [name]
        images += here
    what = ", ".join(map(shown, image_names(given)))
    if not images:
        raise InputError(f"there are no images in {what}.")
    packed = pack(
        [(image, place) for place, image in enumerate(images)],  # so that the label finds the name
        Preparation.of(result.training),
        partial(observer.progress, "packing"),
        what=what,
        skip_bad=True,
    )
    if not len(packed):
        raise BadImagesError(packed.skipped)
    if packed.skipped:
        count = len(packed.skipped)
        observer.warned(itemized("{} cannot be read", packed.skipped, count))
    folders = [Path(image) for image in given if isinstance(image, str | os.PathLike)]
    _tell_left_out(observer, packed.skipped, list(_others_below(folders, set(names))))
    return [names[place] for place in packed.labels], packed.images


def _tell_left_out(observer: Observer, unreadable: Sequence[str], others: Sequence[Path]) -> None:
    if others:
        kinds = sorted(
            Counter(map(_kind, others)).items(), key=lambda kind: (-kind[1], kind[0].strip("."))
        )
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
        observer.warned(f"left out, as they are not images: {counts}")
    observer.left_out([*unreadable, *(f"{shown(file)}: not an image" for file in others)])


def _kept(image: ImageLike) -> ImageLike:
    """Packing identifies an image by its bytes or pixels, which a Pillow image does not show."""
    return read_image(image) if isinstance(image, Image.Image) else image


def _kind(file: Path) -> str:
    return "hidden" if file.name.startswith(".") else file.suffix.lower() or "without a suffix"


def _others_below(folders: Iterable[Path], images: set[str]) -> Iterator[Path]:
    """The files in folders, at any depth, that are not among the images."""
    for at, below, files in (entry for folder in folders for entry in os.walk(folder)):
        below[:] = sorted(name for name in below if not ignored_kind(Path(at, name)))
        yield from (Path(at, name) for name in sorted(files) if str(Path(at, name)) not in images)


def probabilities_of(result: Result, images: Any, backend: str = "auto") -> np.ndarray:
    """Runs the model of a run over packed images uint8 [N, P, P, 3]: float [N, K], calibrated."""
    training = result.training
    start_backend(backend)
    windows = Preparation.of(training).windows(images)
    forward = Forward(result.model)
    return tempered(forward(windows, min(training.batch_size, len(images))), result.temperature)


def read_images(images: Sequence[ImageLike], result: Result) -> np.ndarray:
    """Prepares images as those that the run was trained on: uint8 [N, P, P, 3].

    Raises:
        InputError: Some cannot be read, each named.
    """
    preparation = Preparation.of(result.training)
    made, faults = [], []
    for name, image in zip(image_names(images), images, strict=True):
        try:
            made.append(preparation.prepare(image))
        except InputError as error:
            has_path = isinstance(image, str | os.PathLike)
            faults.append(str(error) if has_path or len(images) == 1 else f"{name}: {error}")
    if faults:
        raise InputError("\n".join(faults))
    return np.stack(made)


def best_guesses(row: np.ndarray, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The most probable labels of float32 [K], each with its probability."""
    return [
        {"label": names[index], "probability": float(row[index])} for index in ranked(row)[:top]
    ]
