"""Loads a network that a run has saved."""

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from kerascnn.components.entry_points import plugin_packages
from kerascnn.errors import InputError


def load_model(file: Path, made_with: Iterable[str]) -> Any:
    """Loads a Keras model; the process must be on a backend already.

    Args:
        file: The .keras file.
        made_with: The packages of its components, for the message where one is missing.

    Raises:
        InputError: It has layers of packages that are not installed or not allowed here.
    """
    import keras

    foreign = _import_layers(file)
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (TypeError, ValueError) as error:
        if not foreign:
            raise
        raise InputError(
            f"{file}: the model has layers of {', '.join(sorted(foreign))}, which is not among the "
            f"plugins that are installed and allowed here. It was made with "
            f"{', '.join(dict.fromkeys(made_with))}."
        ) from error


def _import_layers(file: Path) -> set[str]:
    """Imports the modules of plugins that define layers of a model, so that Keras knows these.

    Returns:
        The packages of its other layers, without Keras's own.
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
