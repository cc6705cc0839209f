"""Models in MLflow's format, and MLflow's scoring server."""

import json
import platform
import shutil
import uuid
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kerascnn.components.entry_points import packages_for_models
from kerascnn.errors import InputError
from kerascnn.tracking.store import quiet

LOADER = "kerascnn_named_classes"  # the module's name in a model's folder
CONDA, VIRTUALENV, REQUIREMENTS = "conda.yaml", "python_env.yaml", "requirements.txt"


def save_model(
    model: Any,
    folder: Path,
    image_size: int,
    class_names: Sequence[str],
    temperature: float,
    modules: Sequence[str] = (),
    *,
    weights: Mapping[str, Any] | None = None,
) -> None:
    """Writes a model in MLflow's format, with its signature, so that MLflow can load and serve it.

    MLflow's predictions, the model's metadata and its signature name the classes. The temperature
    calibrates MLflow's predictions; the network stays as trained, for training and inspection.
    `modules` define its layers: MLflow imports them first, and requires their packages. `weights`
    are those that the network started from, with their licence; None from scratch.

    The files are those of `mlflow.keras.save_model`, whose import takes seconds.
    """
    import keras

    data, code = folder / "data", folder / "code"
    data.mkdir(parents=True)
    code.mkdir()
    model.save(data / "model.keras")
    (data / "keras_module.txt").write_text("keras")
    shutil.copyfile(Path(__file__).with_name("named_classes.py"), code / f"{LOADER}.py")
    saved = {
        "data": data.name,
        "keras_backend": keras.config.backend(),
        "keras_version": keras.__version__,
        "save_exported_model": False,
    }
    metadata = {
        "class_names": list(class_names),
        "temperature": temperature,
        "modules": list(modules),
        "weights": dict(weights) if weights else None,
    }
    described = _described(saved, metadata, image_size)
    described["model_size_bytes"] = sum(file.stat().st_size for file in data.iterdir())
    _write_yaml(folder / "MLmodel", described)
    _write_environment(folder, [f"mlflow=={version('mlflow')}", *_required(modules)])


def _described(saved: dict[str, Any], metadata: dict[str, Any], image_size: int) -> dict[str, Any]:
    """The contents of the file MLmodel: https://mlflow.org/docs/latest/ml/model/#storage-format."""
    images = {"dtype": "float32", "shape": [-1, image_size, image_size, 3]}
    classes = [
        {"type": "float", "name": name, "required": True} for name in metadata["class_names"]
    ]
    return {
        "flavors": {
            "keras": saved,
            "python_function": {
                "code": "code",
                "env": {"conda": CONDA, "virtualenv": VIRTUALENV},
                "loader_module": LOADER,
                "python_version": platform.python_version(),
            },
        },
        "metadata": metadata,
        "mlflow_version": version("mlflow"),
        "model_id": None,
        "model_uuid": uuid.uuid4().hex,
        "prompts": None,
        "signature": {
            "inputs": json.dumps([{"type": "tensor", "tensor-spec": images}]),
            "outputs": json.dumps(classes),
            "params": None,
        },
        "is_signature_from_type_hint": False,
        "type_hint_from_example": False,
        "utc_time_created": str(datetime.now(UTC).replace(tzinfo=None)),
    }


def _required(modules: Sequence[str]) -> list[str]:
    """The packages that the model needs, with their versions."""
    import keras

    from kerascnn.runtime.versions import installed_versions

    installed, needed = installed_versions(), ("keras", keras.config.backend(), "numpy")
    packages = [f"{name}=={installed[name]}" for name in needed]
    if not modules:
        return packages
    homes = packages_for_models()
    tops = {module.partition(".")[0] for module in modules} & homes.keys()
    return packages + sorted({f"{homes[top].distribution}=={homes[top].version}" for top in tops})


def _write_environment(folder: Path, packages: list[str]) -> None:
    """The environment to serve the model in, for pip, virtualenv and Conda."""
    python, pip = platform.python_version(), _pinned("pip")
    (folder / REQUIREMENTS).write_text("\n".join(packages))
    build = [_pinned(name) for name in ("pip", "setuptools", "wheel")]
    needed = {"python": python, "build_dependencies": build}
    _write_yaml(folder / VIRTUALENV, needed | {"dependencies": [f"-r {REQUIREMENTS}"]})
    # conda-forge has a new pip some days later
    dependencies = [f"python={python}", pip.replace("==", "<="), {"pip": packages}]
    conda = {"channels": ["conda-forge"], "dependencies": dependencies, "name": "mlflow-env"}
    _write_yaml(folder / CONDA, conda)


def _pinned(package: str) -> str:
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        return package


def _write_yaml(file: Path, content: dict[str, Any]) -> None:
    import yaml  # type: ignore[import-untyped]

    file.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")


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
    app = init(PyFuncModel(Model(signature=signature, flavors=flavors), Images()))
    pages = (app.docs_url, app.redoc_url)  # FastAPI's, which load scripts from elsewhere
    app.router.routes[:] = [of for of in app.router.routes if of.path not in pages]
    return app
