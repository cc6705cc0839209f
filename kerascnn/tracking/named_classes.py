"""What MLflow loads to predict with a logged model: its probabilities, under the class names.

A copy of this file is kept with each model and runs where kerascnn is not installed.
"""

from typing import Any


class NamedClasses:
    """A Keras model that predicts a table with a column for each class."""

    def __init__(self, model: Any, names: list[str]) -> None:
        self._model, self._names = model, names

    def predict(self, images: Any, params: Any = None) -> Any:
        import pandas as pd  # type: ignore[import-untyped]

        return pd.DataFrame(self._model.predict(images, verbose=0), columns=self._names)


def _load_pyfunc(path: str) -> NamedClasses:
    """The name that MLflow asks for."""
    import mlflow.keras
    from mlflow.models import Model

    return NamedClasses(mlflow.keras.load_model(path), Model.load(path).metadata["class_names"])
