"""Models of zeromodels, from a folder or a repository, for images of any size."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn import InputError, did_you_mean, pip_install

ENDINGS = ("ImageClassify", "ZeroShotClassify", "Model")  # of the classes of a network
BACKBONES = ("VisionModel", "Model")  # of those for images alone, the better first


def load(model: str, image_size: int, with_weights: bool) -> tuple[Any, Any, Any]:
    """A model's backbone, and the scale and offset [3] of its pixels in 0-255.

    Args:
        model: A folder with `zm_config.json` and weights, or a repository.
        image_size: Height and width S of the images, pixels.
        with_weights: Whether to load the model's weights.
    """
    try:
        import zeromodels.models  # noqa: F401  # registers all classes
    except ImportError as error:
        raise InputError(
            f"cannot import zeromodels ({error}); install it with `{pip_install('zeromodels')}`."
        ) from error
    folder = Path(model).expanduser()
    files = _Folder(folder) if folder.is_dir() else _Repository(model)
    with _refusing(model):
        config = files.read("zm_config.json")
        if not config:
            raise InputError("it has no zm_config.json")
        declared = _registered(config.get("model_class", ""))
        kind = _backbone_of(declared)
        backbone = _built(kind, config, image_size)
        if with_weights:
            full = backbone if kind is declared else _built(declared, config, image_size)
            full.load_weights(files.weights())  # interpolates position embeddings
            _copy(full, backbone)
        return backbone, *_rescaling(files.read("zm_preprocessor.json"), kind)


class _Folder:
    """A model's files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> dict[str, Any]:
        file = self._folder / name
        return json.loads(file.read_text("utf-8")) if file.is_file() else {}

    def weights(self) -> str:
        for name in ("model.weights.h5", "model.weights.json"):  # in one file, or in several
            if (self._folder / name).is_file():
                return str(self._folder / name)
        raise InputError("it has neither model.weights.h5 nor model.weights.json")


class _Repository:
    """A model's files in a repository, which zeromodels downloads."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, name: str) -> dict[str, Any]:
        from zeromodels.conversion.zm_config import load_zm_config, load_zm_preprocessor

        loads = load_zm_config if name == "zm_config.json" else load_zm_preprocessor
        return loads(self._name) or {}

    def weights(self) -> str:
        from zeromodels.base.base_mixin import resolve_weights_url
        from zeromodels.conversion.file_downloader import download_weights

        return download_weights(resolve_weights_url(f"https://huggingface.co/{self._name}"))


@contextmanager
def _refusing(model: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # of zeromodels, its downloader, or Keras
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f'model = "{model}": expected a folder with zm_config.json, zm_preprocessor.json and '
            f"model.weights.h5 of an image network of zeromodels, or a repository of them that can "
            f"be downloaded: {reason}."
        ) from error


def _registered(name: str) -> Any:
    import keras

    found = keras.saving.get_registered_object(f"zeromodels>{name}")
    if found is None:
        known = (key.removeprefix("zeromodels>") for key in keras.saving.get_custom_objects())
        raise InputError(f'there is no class "{name}".{did_you_mean(name, known)}')
    return found


def _backbone_of(declared: Any) -> Any:
    """The class of the network for images alone, without a classifier."""
    import keras

    name = declared.__name__
    stem = next((name.removesuffix(end) for end in ENDINGS if name.endswith(end)), name)
    classes = (keras.saving.get_registered_object(f"zeromodels>{stem}{end}") for end in BACKBONES)
    return next(filter(None, classes), declared)


def _built(kind: Any, config: dict[str, Any], image_size: int) -> Any:
    from zeromodels.conversion.zm_config import ZM_METADATA_KEYS

    fields = {key: value for key, value in config.items() if key not in ZM_METADATA_KEYS}
    settings = kind.config_class.from_dict(fields).constructor_kwargs()
    try:
        return kind(**{**settings, "image_size": image_size})
    except ValueError as error:
        raise InputError(
            f"{kind.__name__} does not accept image_size = {image_size}: {error}"
        ) from error


def _copy(full: Any, backbone: Any) -> None:
    """Copies the weights that both have, by name and order."""
    if full is backbone:
        return
    given = _by_name(full)
    for name, weights in _by_name(backbone).items():
        values = given[name]
        if [weight.shape for weight in weights] != [value.shape for value in values]:
            raise InputError(f"its weights do not include {weights[0].path}")
        for weight, value in zip(weights, values, strict=True):
            weight.assign(value)


def _by_name(model: Any) -> dict[str, list[Any]]:
    """The weights by the names of layer and weight, without the numbers that Keras appends."""
    found = defaultdict[str, list[Any]](list)
    for weight in model.weights:
        parts = weight.path.split("/")[-2:]
        found["/".join(re.sub(r"_\d+$", "", part) for part in parts)].append(weight)
    return found


def _rescaling(preprocessor: dict[str, Any], kind: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of pixels in 0-255, float32 [3], as the model's image processor has them."""
    told = _normalization(preprocessor) or vars(_processor_of(kind)())
    rescale = told.get("rescale_factor", 1 / 255) if told.get("do_rescale", True) else 1.0
    mean, std = np.zeros(3), np.ones(3)
    if told.get("do_normalize", True):
        mean, std = (
            np.asarray(next(told[key] for key in (name, f"image_{name}") if key in told))
            for name in ("mean", "std")
        )
    return (rescale / std).astype(np.float32), (-mean / std).astype(np.float32)


def _normalization(preprocessor: Any) -> dict[str, Any]:
    """The part of a preprocessor's settings with the mean: its image processor may be inside."""
    if not isinstance(preprocessor, dict):
        return {}
    if {"mean", "image_mean"} & preprocessor.keys():
        return preprocessor
    return next(filter(None, map(_normalization, preprocessor.values())), {})


def _processor_of(kind: Any) -> Any:
    package = import_module(kind.__module__.rpartition(".")[0])
    return next(getattr(package, name) for name in dir(package) if name.endswith("ImageProcessor"))
