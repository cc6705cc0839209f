"""Models as MLflow writes and serves them."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerascnn.errors import InputError


def save_model(model: Any, folder: Path, image_size: int, temperature: float) -> None:
    """Writes a model as MLflow does, with its signature, so that MLflow can load and serve it.

    Args:
        model: A Keras model from float32 [B, S, S, 3] to probabilities [B, K].
        folder: Is created.
        image_size: Pixels S.
        temperature: Calibrates the probabilities; it is written into the model's metadata, and the
            network stays as trained, so that it can be trained on and taken apart.
    """
    import keras
    import mlflow.keras
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from kerascnn.runtime import versions

    def tensor(*shape: int) -> Any:
        return Schema([TensorSpec(np.dtype("float32"), (-1, *shape))])

    installed = versions()
    backend = keras.config.backend()
    signature = ModelSignature(tensor(image_size, image_size, 3), tensor(model.output_shape[-1]))
    packages = [f"{name}=={installed[name]}" for name in ("keras", backend, "numpy")]
    mlflow.keras.save_model(
        model,
        str(folder),
        signature=signature,
        pip_requirements=packages,
        metadata={"temperature": temperature},
    )


def scoring_app(answer: Callable[[list[bytes]], list[dict[str, Any]]]) -> Any:
    """MLflow's own scoring server, an ASGI application, around what tells of encoded pictures.

    Its requests hold them as base64 in a column "image".
    """
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import PyFuncModel
    from mlflow.pyfunc.scoring_server import init
    from mlflow.types import ColSpec, DataType, Schema

    class Pictures:
        def predict(self, table: Any, params: Any = None) -> list[dict[str, Any]]:
            try:
                return answer([b64decode(text, validate=True) for text in table["image"]])
            except (InputError, ValueError) as error:
                raise MlflowException.invalid_parameter_value(str(error)) from error

    # a binary column would be decoded by MLflow itself, but not in "inputs"
    signature = ModelSignature(Schema([ColSpec(DataType.string, "image")]))
    flavors = {"python_function": {"loader_module": __name__}}
    return init(PyFuncModel(Model(signature=signature, flavors=flavors), Pictures()))
