"""Loads the saved network of a run."""

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from kerascnn.components.entry_points import plugin_packages
from kerascnn.errors import InputError


def load_model(file: Path, made_with: Iterable[str]) -> Any:
    """Loads a Keras model from a .keras file; a backend must be running.

    Raises:
        InputError: It has layers of packages that are not installed or not allowed; `made_with`
            names the packages of its components.
    """
    import keras

    foreign = _import_layers(file)
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (TypeError, ValueError) as error:
        if not foreign:
            raise
        raise InputError(
            f"{file}: the model has layers of packages that are not installed or not allowed: "
            f"{', '.join(sorted(foreign))}. It was made with {', '.join(dict.fromkeys(made_with))}."
        ) from error


def _import_layers(file: Path) -> set[str]:
    """Imports the plugin modules that define layers of a model, to register them with Keras.

    Returns the packages of its other layers, except Keras.
    """
    modules: set[str] = set()
    with ZipFile(file) as archive:
        json.loads(
            archive.read("config.json"),
            object_hook=lambda table: modules.add(table.get("module") or "keras"),
        )
    plugins = set(plugin_packages())
    for module in modules:
        if module.partition(".")[0] in plugins:
            import_module(module)
    return {module.partition(".")[0] for module in modules} - plugins - {"keras", "builtins"}
