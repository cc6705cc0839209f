"""A chain of transforms, made from tables and seeded anew in every call."""

import os
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any

import numpy as np
from pydantic import ValidationError

from kerascnn import InputError, did_you_mean

# else importing it asks the package index whether there is a newer version
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A  # noqa: N812
import cv2

NESTING = ("OneOf", "SomeOf", "RandomOrder", "Sequential")  # have tables of their own
# need masks, boxes or functions, or do nothing to an RGB image
UNFIT = {
    "AtLeastOneBBoxRandomCrop",
    "BBoxSafeRandomCrop",
    "ConstrainedCoarseDropout",
    "CropNonEmptyMaskIfExists",
    "Lambda",
    "MaskDropout",
    "RandomCropNearBBox",
    "RandomSizedBBoxSafeCrop",
    "ToRGB",
}
TRIES = 32  # of a chain in which a transform changes the size
Table = Mapping[str, Any]


class Chain:
    """Augments one image; all that is drawn follows from the generator.

    Args:
        tables: Each with a `name`, and arguments of the transform.
        image_size: Pixels S, height and width of the images.

    Raises:
        InputError: A name, an argument or a value is unknown to Albumentations.
    """

    def __init__(self, tables: Sequence[Table], image_size: int) -> None:
        self._made_of = tables, image_size
        self._size = image_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that one transform is a special case of another
            made = [_made(table, f"transforms.{i}", image_size) for i, table in enumerate(tables)]
            self._compose = A.Compose(made)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes it from the tables."""
        return Chain, self._made_of

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augments an image uint8 [S, S, 3]."""
        return _seeded(self._compose, rng)(image=image)["image"]

    def try_out(self) -> None:
        """Tries each transform alone; raises InputError unless images stay uint8 [S, S, 3]."""
        image = np.random.default_rng(0).integers(0, 256, (self._size, self._size, 3), np.uint8)
        sizes = {}
        for leaf in _leaves(self._compose):
            name = type(leaf).__name__
            made = _tried(leaf, image)
            if made.dtype != np.uint8:
                raise InputError(
                    f"{name} returns {made.dtype}, and images stay uint8 in 0-255: leave it out, "
                    "as every network has its own rescaling."
                )
            if made.shape != image.shape:
                sizes[name] = made.shape
        for seed in range(TRIES if sizes else 0):
            found = self(image, np.random.default_rng(seed)).shape
            if found != image.shape:
                raise InputError(
                    f"the images become {found[0]} by {found[1]} instead of {self._size} by "
                    f"{self._size} pixels, because of {' and '.join(sizes)}: end with "
                    '{ name = "Resize" }, which resizes them to training.image_size.'
                )


def _made(table: Table, where: str, image_size: int) -> Any:
    """The transform of a table; `where` names the table in messages."""
    arguments = dict(table)
    name = arguments.pop("name", None)
    cls = _class_of(name, where)
    takes = signature(cls).parameters
    for key in arguments:
        if key not in takes:
            raise InputError(
                f'{where}: {name} has no argument "{key}".{did_you_mean(key, takes)} '
                f"It has {', '.join(takes)}."
            )
    needed = {key for key, one in takes.items() if one.default is Parameter.empty} - {*arguments}
    size = {"size": (image_size, image_size), "height": image_size, "width": image_size}
    arguments |= {key: size[key] for key in needed if key in size}
    if missing := needed - {*size}:
        raise InputError(f"{where}: {name} needs {' and '.join(sorted(missing))}.")
    if name in NESTING:
        parts = arguments["transforms"]
        if not (isinstance(parts, list) and parts and all(isinstance(one, dict) for one in parts)):
            raise InputError(f"{where}: the transforms of {name} are not an array of tables.")
        arguments["transforms"] = [
            _made(one, f"{where}.transforms.{i}", image_size) for i, one in enumerate(parts)
        ]
    else:
        arguments = {key: _constant(value) for key, value in arguments.items()} | {"strict": True}
    return _built(cls, arguments, where)


def _class_of(name: Any, where: str) -> type:
    fit = {*NESTING, *_transforms()}
    if name in UNFIT:
        raise InputError(
            f"{where}: {name} needs masks, boxes or a function, or leaves RGB images unchanged."
        )
    if name not in fit:
        if name is None:
            raise InputError(f"{where}: the key name, a transform of Albumentations, is missing.")
        near = did_you_mean(str(name), fit)
        raise InputError(
            f"{where}: Albumentations {A.__version__} has no transform {name!r}.{near}"
        )
    return getattr(A, name)


def _transforms() -> list[str]:
    """The names of the transforms of images."""
    bases = A.ImageOnlyTransform, A.DualTransform
    return [
        name
        for name, one in vars(A).items()
        if isinstance(one, type)
        and issubclass(one, bases)
        and not issubclass(one, A.Transform3D)
        and one not in bases
        and name not in UNFIT
    ]


def _constant(value: Any) -> Any:
    """A constant of OpenCV by its name, such as "BORDER_REFLECT_101"; else the value."""
    if isinstance(value, str) and value.startswith(("BORDER_", "INTER_")):
        return getattr(cv2, value, value)
    return value


def _built(cls: Callable[..., Any], arguments: dict[str, Any], where: str) -> Any:
    name = cls.__name__
    try:
        made = cls(**arguments)
    except Exception as error:  # its checks raise all kinds
        raise InputError(f"{where}: {name}: {_explained(error)}") from error
    if beside := {*getattr(made, "targets_as_params", ())} - {"image"}:
        raise InputError(
            f"{where}: {name} needs {' and '.join(sorted(beside))} with every image, which a "
            "classifier's images do not have."
        )
    return made


def _explained(error: Exception) -> str:
    if not isinstance(error.__cause__, ValidationError):
        return str(error)
    found = []
    for fault in error.__cause__.errors():
        of = f"{fault['loc'][0]} = {fault['input']!r}: " if fault["loc"] else ""
        found.append(of + fault["msg"])
    return "; ".join(found)


def _leaves(compose: Any) -> Iterator[Any]:
    for one in compose.transforms:
        yield from _leaves(one) if isinstance(one, A.BaseCompose) else (one,)


def _tried(leaf: Any, image: np.ndarray) -> np.ndarray:
    try:
        return _seeded(leaf, np.random.default_rng(0))(image=image, force_apply=True)["image"]
    except Exception as error:
        size = f"{image.shape[0]} by {image.shape[1]}"
        raise InputError(
            f"{type(leaf).__name__} fails on an image of {size} pixels: {error}"
        ) from error


def _seeded(transform: Any, rng: np.random.Generator) -> Any:
    """The transform, whose draws all follow from the generator."""
    transform.set_random_state(rng, random.Random(int(rng.integers(2**63))))
    return transform
