"""Names of runs: what differs from the first run of the experiment comes first."""

import pytest
import tomli_w

from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.lookup import runs_folder
from kerascnn.run.naming import run_name
from kerascnn.tracking.tracker import Tracker


@pytest.fixture
def name(workplace, shapes_experiment, registry, monkeypatch):
    """Names a run with some settings changed, after a first one without."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    experiment = bind_experiment(shapes_experiment, registry)
    with Tracker("shapes", "the first", runs_folder()) as tracker:
        _, folder = tracker.open()
        (folder / "experiment.toml").write_text(tomli_w.dumps(experiment.resolved))

    def give(**changes):
        return run_name(bind_experiment({**shapes_experiment, **changes}, registry))

    return give


def test_the_first_run_is_named_by_its_network_and_seed(shapes_experiment, registry, workplace):
    experiment = bind_experiment(shapes_experiment, registry)
    assert run_name(experiment) == "sequential_cnn on shapes, seed 0"


def test_a_run_that_repeats_it_has_the_same_name(name):
    assert name() == "sequential_cnn on shapes, seed 0"


def test_another_run_is_named_by_what_differs(name):
    stage = {"name": "scratch", "unfreeze": "all", "epochs": 4, "learning_rate": 1e-3}
    assert name(seed=3) == "seed=3 · sequential_cnn on shapes"
    assert name(stages=[stage]) == "scratch.epochs=4 · sequential_cnn on shapes"
    assert name(augmentation="light") == "augmentation=light · sequential_cnn on shapes"
    assert name(stages=[{**stage, "epochs": 1, "schedule": "cosine"}]).startswith(
        "scratch.schedule=cosine · "
    )
    architecture = {"name": "sequential_cnn", "depth": 2, "filters": 8}
    training = {"image_size": 32, "batch_size": 4}
    assert name(seed=1, architecture=architecture, training=training) == (
        "seed=1, filters=8, image_size=32 and 1 more · sequential_cnn on shapes"
    )
