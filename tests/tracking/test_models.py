"""A saved model is what MLflow itself would have written, without importing it."""

import pytest
import yaml

from kerascnn.runtime.backend import start_backend
from kerascnn.tracking.models import save_model

DIFFER = {"model_uuid", "utc_time_created", "model_size_bytes"}


@pytest.fixture(scope="module")
def model():
    start_backend()
    import keras

    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))


def read(folder):
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    del files["data/model.keras"]
    return {
        name: yaml.safe_load(file.read_text())
        for name, file in files.items()
        if not name.startswith("code")
    }


WEIGHTS = [{"origin": "a package", "licence": "MIT", "trained_on": "", "image_size": None}]


def test_it_is_what_mlflow_writes(model, tmp_path):
    import mlflow.keras
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    from kerascnn.runtime.versions import installed_versions

    save_model(model, tmp_path / "ours", 8, ("cät", "dog"), 1.5, weights=WEIGHTS)
    versions = installed_versions()
    packages = [f"{name}=={versions[name]}" for name in ("keras", "tensorflow", "numpy")]
    images = TensorSpec(np.dtype("float32"), (-1, 8, 8, 3))
    classes = [ColSpec(DataType.float, name) for name in ("cät", "dog")]
    mlflow.keras.save_model(
        model,
        str(tmp_path / "theirs"),
        signature=ModelSignature(Schema([images]), Schema(classes)),
        pip_requirements=packages,
        metadata={
            "class_names": ["cät", "dog"],
            "temperature": 1.5,
            "modules": [],
            "weights": WEIGHTS,
        },
    )
    ours, theirs = read(tmp_path / "ours"), read(tmp_path / "theirs")
    assert ours.keys() == theirs.keys()
    described, by_mlflow = ours.pop("MLmodel"), theirs.pop("MLmodel")
    assert ours == theirs
    function = described["flavors"]["python_function"]
    assert (function.pop("code"), function.pop("loader_module")) == (
        "code",
        "kerascnn_named_classes",
    )
    assert by_mlflow["flavors"]["python_function"].pop("loader_module") == "mlflow.keras"
    for key in DIFFER:
        assert type(described.pop(key)) is type(by_mlflow.pop(key))
    assert described == by_mlflow
