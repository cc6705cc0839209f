"""The experiment of the tests of probes."""

import pytest

from kerascnn.experiment.bound import bind_experiment


@pytest.fixture(scope="module")
def experiment(shared_workplace, registry):
    data = {
        "name": "shapes",
        "dataset": {"name": "shapes", "classes": 2, "train": 24, "validation": 16, "test": 8},
        "architecture": {"name": "sequential_cnn", "depth": 3, "filters": 8, "dense_units": []},
        "training": {"image_size": 32, "batch_size": 8},
        "stages": [{"name": "head", "epochs": 1, "learning_rate": 1e-2}],
    }
    return bind_experiment(data, registry)
