"""Models in MLflow's format, and MLflow's scoring server."""

import shutil
from base64 import b64decode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kerascnn.components.entry_points import packages_for_models
from kerascnn.errors import InputError
from kerascnn.tracking.store import quiet

LOADER = "kerascnn_named_classes"  # the module's name in a model's folder


def save_model(
    model: Any,
    folder: Path,
    image_size: int,
    class_names: Sequence[str],
    temperature: float,
    modules: Sequence[str] = (),
) -> None:
    """Writes a model in MLflow's format, with its signature, so that MLflow can load and serve it.

    MLflow's predictions, the model's metadata and its signature name the classes. The temperature
    calibrates MLflow's predictions; the network stays as trained, for training and inspection.
    `modules` define its layers: MLflow imports them first, and requires their packages.
    """
    import keras
    import mlflow.keras
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    from kerascnn.runtime.versions import installed_versions

    images = TensorSpec(np.dtype("float32"), (-1, image_size, image_size, 3))
    probabilities = [ColSpec(DataType.float, name) for name in class_names]
    installed, needed = installed_versions(), ("keras", keras.config.backend(), "numpy")
    packages = [f"{name}=={installed[name]}" for name in needed]
    if modules:
        homes = packages_for_models()
        tops = {module.partition(".")[0] for module in modules} & homes.keys()
        packages += sorted({f"{homes[top].distribution}=={homes[top].version}" for top in tops})
    mlflow.keras.save_model(
        model,
        str(folder),
        signature=ModelSignature(Schema([images]), Schema(probabilities)),
        pip_requirements=packages,
        metadata={
            "class_names": list(class_names),
            "temperature": temperature,
            "modules": list(modules),
        },
    )
    _name_predictions(folder)


def _name_predictions(folder: Path) -> None:
    """Adds a loader to a saved model, so that its predictions name the classes."""
    from mlflow import pyfunc
    from mlflow.models import Model

    code = folder / "code"
    code.mkdir()
    shutil.copyfile(Path(__file__).with_name("named_classes.py"), code / f"{LOADER}.py")
    saved = Model.load(str(folder))
    environment = saved.flavors[pyfunc.FLAVOR_NAME][pyfunc.ENV]
    pyfunc.add_to_model(
        saved,
        loader_module=LOADER,
        code=code.name,
        conda_env=environment["conda"],
        python_env=environment["virtualenv"],
    )
    saved.save(str(folder / "MLmodel"))


def scoring_app(answer: Callable[[list[bytes]], list[dict[str, Any]]]) -> Any:
    """MLflow's scoring server, an ASGI application, for requests with images in base64.

    Args:
        answer: Receives the encoded images of the column "image"; returns a row for each.
    """
    quiet()
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import PyFuncModel
    from mlflow.pyfunc.scoring_server import init
    from mlflow.types import ColSpec, DataType, Schema

    class Images:
        def predict(self, table: Any, params: Any = None) -> list[dict[str, Any]]:
            try:
                return answer([b64decode(text, validate=True) for text in table["image"]])
            except (InputError, ValueError) as error:
                raise MlflowException.invalid_parameter_value(str(error)) from error

    # a binary column would be decoded by MLflow itself, but not in "inputs"
    signature = ModelSignature(Schema([ColSpec(DataType.string, "image")]))
    flavors = {"python_function": {"loader_module": __name__}}
    return init(PyFuncModel(Model(signature=signature, flavors=flavors), Images()))
