"""Loads the saved network of a run, in a process that has not built it."""

import json
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from kerascnn.components.entry_points import packages_for_models
from kerascnn.errors import InputError

OF_KERAS = {"keras", "builtins"}  # packages whose objects need no import


def load_model(file: Path, made_with: Iterable[str], modules: Iterable[str] = ()) -> Any:
    """Loads a Keras model from a .keras file; a backend must be running.

    The modules that define its layers are imported first: those that the file names, and
    `modules`. Only those of the allowed plugins, and of packages that these require, are imported,
    whatever the file says.

    Raises:
        InputError: It cannot be loaded; `made_with` names the packages of its components.
    """
    import keras

    with ZipFile(file) as archive:
        named = modules_in(json.loads(archive.read("config.json")))
    missing = "; ".join(_import({*named, *modules}))
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # of Keras, or of a plugin's layer
        made = ", ".join(dict.fromkeys(made_with))
        raise InputError(
            f"{file}: the model cannot be loaded: {missing or reason_of(error)}."
            + (f" It was made with {made}." if made else "")
        ) from error


def modules_in(config: Any) -> set[str]:
    """The modules of the objects in a model's settings, except Keras's."""
    return {module for module in _modules(config) if module.partition(".")[0] not in OF_KERAS}


def reason_of(error: Exception) -> str:
    """What Keras, or a layer within it, says, without the settings that Keras repeats."""
    *_, said = str(error).split("Exception encountered: ")
    said = re.split(r" Full object config:| Make sure |\n", said)[0].strip().rstrip(".")
    return f"{type(error).__name__}: {said}"


def _modules(config: Any) -> Iterator[str]:
    if isinstance(config, dict) and isinstance(config.get("class_name"), str):
        yield from filter(None, [_module(config)])
    if isinstance(config, dict | list | tuple):
        for part in config.values() if isinstance(config, dict) else config:
            yield from _modules(part)


def _module(table: dict[str, Any]) -> str | None:
    """The module that an object's settings name, or that of a function or class registered here.

    Keras names no module of a function, nor of what a script defines.
    """
    import keras

    name = table.get("config" if table["class_name"] == "function" else "registered_name")
    module = table.get("module")
    if module in (None, "builtins") and isinstance(name, str):
        module = getattr(keras.saving.get_registered_object(name), "__module__", module)
    return module if isinstance(module, str) else None


def _import(modules: set[str]) -> Iterator[str]:
    """Imports the modules, which registers their layers; yields why one cannot be."""
    allowed = packages_for_models() if modules else {}
    for module in sorted(modules):
        package, *inner = module.split(".")
        if package not in allowed or "__main__" in inner:
            yield (
                f"{module} is not part of an installed and allowed plugin, nor of a package that "
                "one requires in its pyproject.toml"
            )
            continue
        try:
            import_module(module)
        except ImportError as error:
            yield f"{module} cannot be imported ({error})"
