"""MLflow's loader of a logged model: calibrated probabilities with the names of the classes.

A copy of this file is stored with each model and works without kerascnn.
"""

from importlib import import_module
from typing import Any

LEAST_PROBABILITY = 1e-7


class NamedClasses:
    """A Keras model whose predictions are a table with a column for each class."""

    def __init__(self, model: Any, names: list[str], temperature: float) -> None:
        self._model, self._names, self._temperature = model, names, temperature

    def predict(self, images: Any, params: Any = None) -> Any:
        import numpy as np
        import pandas as pd  # type: ignore[import-untyped]

        probabilities = np.asarray(self._model.predict(images, verbose=0), np.float64)
        if self._temperature != 1:
            raised = np.clip(probabilities, LEAST_PROBABILITY, 1) ** (1 / self._temperature)
            probabilities = raised / raised.sum(1, keepdims=True)
        return pd.DataFrame(probabilities.astype(np.float32), columns=self._names)


def _load_pyfunc(path: str) -> NamedClasses:
    """Called by MLflow under this name."""
    import mlflow.keras
    from mlflow.models import Model

    said = Model.load(path).metadata
    for module in said.get("modules", ()):
        import_module(module)  # registers its layers with Keras
    return NamedClasses(mlflow.keras.load_model(path), said["class_names"], said["temperature"])
