"""The images that a run's model is applied to: collected, named and prepared as for training."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from kerascnn.engine.data.decoding.images import IMAGE_TYPES, ImageLike, read_image, shown
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.pack import BadImagesError, pack
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.data.store.stream import Images
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.hookspecs import Source
from kerascnn.runtime.arguments import as_list
from kerascnn.runtime.image_files import has_image_suffix, ignored_kind
from kerascnn.runtime.text import itemized

LONGEST_PATH = 32_767  # characters, on Windows; elsewhere 4,096


def listed_images(images: ImageLike | Iterable[ImageLike]) -> list[ImageLike]:
    """One image or several, as a list.

    Raises:
        InputError: The list is empty, or an item is not an image.
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
    """The path of each image; "image N", counted from 1, for those without a path."""
    return [
        os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {place}"
        for place, image in enumerate(images, 1)
    ]


def has_folder(images: Sequence[ImageLike]) -> bool:
    return any(isinstance(image, str | os.PathLike) and os.path.isdir(image) for image in images)


def read_images(images: Sequence[ImageLike], result: Result) -> np.ndarray:
    """Prepares images like those that the run was trained on: uint8 [N, P, P, 3].

    Raises:
        InputError: Some cannot be read; each is named.
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


def packed_for(
    result: Result, source: Source, observer: Observer, *, skip_bad: bool = False
) -> Packed:
    """Packs images like those that the run was trained on.

    Args:
        skip_bad: Leave out images that cannot be read.
    """
    return _packed(Preparation.of(result.training), source, observer, skip_bad)


def _packed(preparation: Preparation, source: Source, observer: Observer, skip_bad: bool) -> Packed:
    return pack(source, preparation, partial(observer.progress, "packing"), skip_bad=skip_bad)


def collect_images(
    given: Sequence[ImageLike], result: Result, observer: Observer
) -> tuple[list[str], Images]:
    """The images given and those in the folders given: their names, and uint8 [N, P, P, 3].

    See `collect_packed`.
    """
    names, packed = collect_packed(given, Preparation.of(result.training), observer)
    return names, packed.images


def collect_packed(
    given: Sequence[ImageLike], preparation: Preparation, observer: Observer
) -> tuple[list[str], Packed]:
    """The images given and those in the folders given: their names, and the images, packed.

    Files that are not images or cannot be read are left out, and the observer is notified.

    Raises:
        InputError: There are no images, or none that can be read.
    """
    names, images, others = list[str](), list[ImageLike](), list[Path]()
    for name, image in zip(image_names(given), given, strict=True):
        if isinstance(image, str | os.PathLike):
            here, not_images = _files_below(Path(image))
            names += map(str, here)
            images += here
            others += not_images
        else:
            names.append(name)
            images.append(_identified(image))
    if not images:
        raise InputError(f"there are no images in {', '.join(map(shown, image_names(given)))}.")
    source = [(image, place) for place, image in enumerate(images)]  # the label finds the name
    packed = _packed(preparation, source, observer, skip_bad=True)
    if not len(packed):
        raise BadImagesError(packed.skipped)
    _report_left_out(observer, packed.skipped, others)
    return [names[place] for place in packed.labels], packed


def _files_below(path: Path) -> tuple[list[Path], list[Path]]:
    """The visible images below a folder, by name, and its other files; a file is an image itself.

    System files and folders, and kerascnn's own output, are neither.
    """
    if not path.is_dir():
        return [path], []
    images, others = list[Path](), list[Path]()
    for at, folders, files in os.walk(path):
        folders[:] = (name for name in folders if not ignored_kind(Path(at, name)))
        for file in (Path(at, name) for name in files):
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            counts = has_image_suffix(file) and not hidden and not ignored_kind(file)
            (images if counts else others).append(file)
    return sorted(images), sorted(others)


def _identified(image: ImageLike) -> ImageLike:
    """Packing identifies an image by its bytes or pixels, which a Pillow image does not expose."""
    return read_image(image) if isinstance(image, Image.Image) else image


def _report_left_out(observer: Observer, unreadable: Sequence[str], others: Sequence[Path]) -> None:
    if unreadable:
        observer.warned(itemized("{} cannot be read", unreadable, len(unreadable)))
    if others:
        kinds = Counter(map(_kind, others)).items()
        ordered = sorted(kinds, key=lambda kind: (-kind[1], kind[0].strip(".")))
        counts = ", ".join(f"{count:,} {kind}" for kind, count in ordered)
        observer.warned(f"left out, as they are not images: {counts}")
    observer.left_out([*unreadable, *(f"{shown(file)}: not an image" for file in others)])


def _kind(file: Path) -> str:
    return "hidden" if file.name.startswith(".") else file.suffix.lower() or "without a suffix"
