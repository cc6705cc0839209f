"""What more than one test file needs."""

from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest
import tomli_w

from kerascnn import cli, tracking
from kerascnn.cache import cache_folder
from kerascnn.plugins import load_registry


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


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty working directory with a cache and a tracking store of its own."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    databases = cache_folder("databases")  # those of all tests: to make one takes seconds
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "databases").symlink_to(databases)
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(folder)
    return folder


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
def fresh_database(tmp_path_factory):
    """An MLflow store with its tables, made once: making them takes seconds."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with tracking.open_store(f"sqlite:///{file}"):
        pass
    return file
