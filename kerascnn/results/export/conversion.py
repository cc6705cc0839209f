"""Converts a run's model in a process of its own."""

from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.metrics.calibration import AS_TRAINED, tempered
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.network.joined import calibrated
from kerascnn.engine.result.run import Result
from kerascnn.errors import RunError
from kerascnn.results.export.exporter import BuiltExporter
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.runtime.workers import backend_process


def convert(
    exporter: BuiltExporter,
    result: Result,
    params: Mapping[str, Any],
    place: Path,
    images: np.ndarray,
) -> tuple[Path, float]:
    """Writes a run's model in another format, by another process.

    Args:
        exporter: Is found again by that process, because what it builds may not be picklable.
        params: The exporter's parameters.
        place: An empty folder.
        images: float32 [N, S, S, 3] in 0-255 to compare on.

    Returns:
        The path of what was written, and the largest difference between one of its probabilities
        and that of Keras.

    Raises:
        RunError: The probabilities differ, or the process died.
    """
    folder, name = place / "model", exporter.bound.name
    folder.mkdir()
    with backend_process(exporter.backend, silent=True) as process:  # converters print a lot
        try:
            return process.submit(_convert, result, name, params, folder, images).result()
        except RunError as error:
            raise RunError(f"{error} The exported model was deleted.") from error
        except BrokenProcessPool as error:
            raise RunError("the converting process died, perhaps for lack of memory.") from error


def _convert(
    result: Result, name: str, params: Mapping[str, Any], folder: Path, images: np.ndarray
) -> tuple[Path, float]:
    model, exporter = result.model, BuiltExporter.find(name, params)
    _compute_in_float32(model)
    expected = tempered(to_numpy(model(images)), result.temperature)
    if result.temperature != AS_TRAINED:
        model = _calibrated(model, result.temperature)
        model(images)  # Keras exports only models that have been called
    path = exporter.write(model, folder)
    return path, exporter.compare(path, images, expected)


def _calibrated(model: Any, temperature: float) -> Any:
    """The model with the temperature built in, applied as by `tempered`."""
    import keras

    return keras.Model(model.input, calibrated(model.output, temperature, "calibrated"))


def _compute_in_float32(model: Any) -> None:
    """Other runtimes do not support mixed precision; the weights are float32 in any case."""
    for layer in (model, *nested_layers(model)):
        layer.dtype_policy = "float32"
