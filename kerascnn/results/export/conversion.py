"""Converts a model in a process of its own, and compares the file with what Keras computes."""

from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from kerascnn.engine.metrics.calibration import AS_TRAINED, tempered
from kerascnn.engine.metrics.score import LEAST_PROBABILITY
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.result import Result
from kerascnn.errors import RunError
from kerascnn.results.export.formats import FORMATS
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.runtime.workers import backend_process


def convert(backend: str, result: Result, format: str, path: str, images: np.ndarray) -> float:
    """Writes a run's model in another format, by another process.

    Args:
        backend: The Keras backend of that process.
        path: Where to write it.
        images: float32 [N, S, S, 3] to compare on.

    Returns:
        The largest difference between a probability of the file and that of Keras.

    Raises:
        RunError: The process died.
    """
    with backend_process(backend, silent=True) as process:  # converters print a lot
        try:
            return process.submit(_convert, result, format, path, images).result()
        except BrokenProcessPool as error:
            raise RunError("the converting process died, perhaps for lack of memory.") from error


def _convert(result: Result, format: str, path: str, images: np.ndarray) -> float:
    model, chosen = result.model, FORMATS[format]
    if chosen.keras_name:
        _compute_in_float32(model)
    expected = tempered(to_numpy(model(images)), result.temperature)
    if result.temperature != AS_TRAINED:
        model = _calibrated(model, result.temperature)
        model(images)  # Keras exports only models that have been called
    if chosen.keras_name:
        model.export(path, format=chosen.keras_name, verbose=False)
    else:
        model.save(path)
    return float(np.abs(chosen.run(path, images) - expected).max())


def _calibrated(model: Any, temperature: float) -> Any:
    """The model with the temperature built in, applied as by `tempered`."""
    import keras

    probabilities = keras.ops.maximum(model.output, LEAST_PROBABILITY)
    return keras.Model(model.input, keras.ops.softmax(keras.ops.log(probabilities) / temperature))


def _compute_in_float32(model: Any) -> None:
    """Other runtimes do not support mixed precision; the weights are float32 in any case."""
    for layer in (model, *nested_layers(model)):
        layer.dtype_policy = "float32"
