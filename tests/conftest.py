"""What more than one test file needs."""

import gc
import os
import sys
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
import tomli_w
from PIL import Image

from kerascnn import cli
from kerascnn.components.registry import load_registry
from kerascnn.engine.metrics.score import measure
from kerascnn.engine.metrics.significance import repeated_interval
from kerascnn.engine.result.folds import FoldsResult
from kerascnn.engine.result.run import Result
from kerascnn.results.predictions import Predictions, write_predictions
from kerascnn.runtime.cache import cache_folder
from kerascnn.runtime.process import set_objects_aside
from kerascnn.testing import other_processes
from kerascnn.tracking.store import open_store


def pytest_configure():
    """Gives each process of pytest-xdist cores of its own.

    On shared ones the threads of a process wait for those of the others: PyTorch takes three times
    as long.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cores, count = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.sched_setaffinity(0, cores[int(worker.removeprefix("gw")) % len(cores) :: count])


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Leaves what is imported and collected out of garbage collections, then and later.

    Each stage ends with one, and a pass over Keras, its backend and 5000 tests takes half a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        set_objects_aside()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Begins with the longest: pytest-xdist moves what is at the end to idle processes."""

    def follows(item):
        marker = item.get_closest_marker("long")
        return not (marker and marker.kwargs.get("first"))

    items.sort(key=follows)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Keeps the tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def registry():
    """The built-in components alone, whatever else is installed."""
    points = entry_points(group="kerascnn")
    return load_registry([point for point in points if point.dist.name == "kerascnn"])


@pytest.fixture(scope="module")
def suspects(tmp_path_factory):
    """Installs tests/suspects.py as the distribution `suspects`."""
    site = tmp_path_factory.mktemp("site")
    metadata = site / "suspects-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: suspects\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[kerascnn]\nsuspects = suspects\n")
    (site / "suspects.py").write_bytes((Path(__file__).parent / "suspects.py").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site))
        other_processes._pool.cache_clear()  # processes that earlier tests began know nothing of it
        yield site
    sys.modules.pop("suspects", None)


@contextmanager
def working_in(place):
    """A working directory in a place, with a cache and a tracking store of its own."""
    # or each run would start processes that import these, see `Beside`
    import matplotlib.figure  # noqa: F401
    import mlflow  # noqa: F401

    folder, cache = place / "workplace", place / "cache"
    databases = cache_folder("databases")  # those of all tests: to make one takes seconds
    for made in (folder, cache):
        made.mkdir()
    (cache / "databases").symlink_to(databases)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCNN_CACHE", str(cache))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        yield folder


@pytest.fixture
def workplace(tmp_path):
    """An empty working directory with a cache and a tracking store of its own."""
    with working_in(tmp_path) as folder:
        yield folder


@pytest.fixture(scope="module")
def shared_workplace(tmp_path_factory):
    """The same for all tests of a file."""
    with working_in(tmp_path_factory.mktemp("shared")) as folder:
        yield folder


@pytest.fixture(scope="module")
def without_reports():
    """Runs of the file draw no report, which takes the most time of a tiny one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kerascnn.run.runner.draw_report", lambda *_: None)
        yield


@pytest.fixture
def shapes_experiment():
    """The smallest experiment that trains: a tiny network on a few coloured shapes."""
    return {
        "name": "shapes",
        "dataset": {"name": "shapes", "classes": 2, "train": 16, "validation": 8, "test": 8},
        "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 4},
        "training": {"image_size": 16, "batch_size": 8},
        "stages": [{"name": "scratch", "unfreeze": "all", "epochs": 1, "learning_rate": 1e-3}],
    }


@pytest.fixture
def shapes_file(workplace, shapes_experiment):
    """That experiment as shapes.toml in the workplace."""
    file = workplace / "shapes.toml"
    file.write_text(tomli_w.dumps(shapes_experiment))
    return file


@pytest.fixture
def written_run(workplace, shapes_experiment):
    """Writes the folder of a run that was never trained, and gives its result."""

    def write(run_id, right, *, fingerprint="images", folder=None, parameters=1234, **changes):
        """`right`: whether its network recognises each test image; `changes`: of settings."""
        folder = folder or workplace / "kerascnn-runs" / run_id
        folder.mkdir(parents=True, exist_ok=True)
        names, right = ["circle", "square"], np.asarray(right, bool)
        labels = np.arange(len(right)) % 2
        predicted = np.where(right, labels, 1 - labels)
        rows = [
            f"{row},{row:064x},{names[label]},{names[best]},0.8,{('0.8,0.2', '0.2,0.8')[best]}"
            for row, (label, best) in enumerate(zip(labels, predicted, strict=True))
        ]
        head = "image,sha256,label,predicted,probability,circle,square"
        (folder / "predictions.csv").write_text("\n".join([head, *rows, ""]))
        test = measure(np.eye(2)[predicted], labels, tuple(names))
        epochs = [(stage, epoch) for stage in ("head", "rest") for epoch in (1, 2)]
        result = Result(
            run_id=run_id,
            name="shapes",
            backend="tensorflow",
            test_accuracy=test.accuracy,
            test_accuracy_interval=test.interval,
            test=test.to_json(),
            stages=[],
            class_names=names,
            parameters=parameters,
            seconds=5.0,
            data_seconds=1.0,
            data={
                split: {"images": len(right), "fingerprint": fingerprint}
                for split in ("train", "validation", "test")
            },
            experiment=with_changes({"seed": 0, **shapes_experiment}, changes),
            plugins={},
            artifacts=str(folder),
            history=[
                {"stage": stage, "epoch": epoch, "val_accuracy": 0.5, "val_loss": 1 / epoch}
                for stage, epoch in epochs
            ],
        )
        result.write()
        return result

    return write


@pytest.fixture
def written_study(workplace, shapes_experiment):
    """Writes the folder of a study of folds that was never trained, and gives its result."""

    def write(run_id, right, k=2, *, tested="images", order=None, **changes):
        """`right`: whether each image is recognised, once a repeat: [R, N]; `order`: of images."""
        right = np.atleast_2d(np.asarray(right, bool))
        repeats, count = right.shape
        rows = np.arange(count) if order is None else np.asarray(order)
        names, folder = ("circle", "square"), workplace / "kerascnn-runs" / run_id
        folder.mkdir(parents=True)
        (folder / "folds.toml").touch()
        labels = np.tile(rows % 2, repeats)
        best = np.where(right[:, rows].ravel(), labels, 1 - labels)
        said = Predictions(
            names=[str(row) for row in rows] * repeats,
            labels=labels,
            probabilities=np.where(np.eye(2)[best] > 0, 0.8, 0.2).astype(np.float32),
            digests=[f"{row:064x}" for row in rows] * repeats,
            repeats=repeats,
        )
        more = {"repeat": np.arange(repeats).repeat(count) + 1, "fold": np.tile(rows % k, repeats)}
        write_predictions(folder / "predictions.csv", said, names, more)
        test = measure(said.probabilities, labels, names)
        table = {"run_id": "f" * 32, "temperature": 1.0, "epochs": 1, "seconds": 2.0}
        table |= {"images": count // k, "interval": [0.0, 1.0], "accuracy": test.accuracy}
        table |= {"prefix_seconds": 0.0, "rows_made": 0}
        result = FoldsResult(
            run_id=run_id,
            name="shapes",
            backend="tensorflow",
            accuracy=test.accuracy,
            interval=repeated_interval(right.mean(0)),
            images=count,
            k=k,
            repeats=repeats,
            folds=[
                {**table, "repeat": repeat + 1, "fold": fold + 1}
                for repeat in range(repeats)
                for fold in range(k)
            ],
            test=test.to_json(),
            metrics={},
            class_names=list(names),
            parameters=1234,
            seconds=5.0,
            experiment=with_changes({"seed": 0, **shapes_experiment}, changes),
            plugins={},
            artifacts=str(folder),
            tested=tested,
        )
        result.write()
        return result

    return write


def with_changes(experiment, changes):
    """Settings of the first level and, by a table, of the second."""
    merged = {
        key: {**experiment[key], **value} if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return {**experiment, **merged}


@pytest.fixture
def run_cli(monkeypatch, capsys):
    """Runs the command line in this process; the answer has exit_code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["kerascnn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        stdout, stderr = capsys.readouterr()
        return SimpleNamespace(exit_code=ended.value.code or 0, stdout=stdout, stderr=stderr)

    return run


@pytest.fixture(scope="session")
def photo():
    """Draws a number's own image, with coarse and fine structure as photographs have."""

    def draw(number):
        rng, grids = np.random.default_rng(number), ((6, 8, 3), (24, 32, 3), (96, 128, 3))
        coarse, middle, fine = (
            Image.fromarray(rng.integers(0, 256, grid, np.uint8)).resize((320, 240))
            for grid in grids
        )
        return Image.blend(Image.blend(coarse, middle, 0.3), fine, 0.15)

    return draw


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory):
    """An MLflow store with its tables, made once: making them takes seconds."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with open_store(f"sqlite:///{file}"):
        pass
    return file


@pytest.fixture
def idle_commands(monkeypatch):
    """Every command parses its arguments and then does nothing."""

    def silence(group):
        for one in group.commands.values():
            monkeypatch.setattr(one, "callback", lambda *_, **__: None)
            if isinstance(one, click.Group):
                silence(one)

    silence(cli.cli)
