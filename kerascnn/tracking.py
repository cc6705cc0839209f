"""MLflow: the store of runs, what is sent to it and fetched from it.

This is the only file that imports mlflow.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.cache import cached
from kerascnn.errors import InputError, KerascnnError
from kerascnn.secrets import scrubbed, shown_uri

TAG = "kerascnn.run"
PARENT = "mlflow.parentRunId"
FAILURE = "failure"  # a tag: why the run ended early
EMPTY = "empty.db"
LOCK_SECONDS = 60.0  # in which another process has made the tables of a fresh database

Entry = dict[str, Any]

_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


_SENTENCES = {
    r"database schema|Can't locate revision": (
        "the database is of another version of MLflow. If of an older one, make a copy of it and "
        "run `mlflow db upgrade` with this address; if of a newer one, upgrade MLflow."
    ),
    r"file is not a database|malformed": (
        "the database is damaged; move it away, or put a copy of it in its place."
    ),
    r"database is locked": "another process keeps the database locked.",
    r"timed out": "it does not answer in time.",
    r"Connection refused|NewConnectionError": "nothing answers there.",
    r"too many (\d+) error responses|error code (\d+)": r"it answers with error \1\2.",
}


class TrackingError(KerascnnError):
    """The tracking store cannot be reached, or cannot be used."""


class RefusedError(TrackingError):
    """An entry cannot be sent, now or later, for what it says."""


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or MLflow's own default made explicit: mlflow.db in this folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"


@contextmanager
def open_store(uri: str) -> Iterator[Any]:
    """A client of the store; every failure comes out as a TrackingError."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow

    for logger in ("mlflow", "alembic"):  # what fails is told by the error
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        with _fresh_database(uri):
            client = mlflow.MlflowClient(uri)
            if _sqlite_file(uri):
                client.search_experiments(max_results=1)
        yield client
    except (KerascnnError, GeneratorExit):
        raise
    except Exception as error:
        raise TrackingError(f"{shown_uri(uri)}: {_reason(error)}") from error


@contextmanager
def _fresh_database(uri: str) -> Iterator[None]:
    """Lets one process at a time make the tables of a SQLite database."""
    path = _sqlite_file(uri)
    if path is None or (path.is_file() and not os.access(path.parent, os.W_OK)):
        yield
        return
    with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
        if not path.exists():
            with suppress(KerascnnError):  # without a cache MLflow makes the tables here
                _copy_empty_database(path)
        yield


def _copy_empty_database(path: Path) -> None:
    """Puts a database with all tables there: to MLflow that is work of 5 to 15 s, done once."""
    import mlflow
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    def build(folder: Path) -> None:
        engine = create_sqlalchemy_engine(f"sqlite:///{folder / EMPTY}")
        _initialize_tables(engine)
        engine.dispose()

    def copy(folder: Path) -> None:
        shutil.copyfile(folder / EMPTY, f"{path}.new")
        os.replace(f"{path}.new", path)

    key = hashlib.sha256(f"mlflow {mlflow.__version__}".encode()).hexdigest()
    cached("databases", key, f"tables of MLflow {mlflow.__version__}", build, copy)


def _reason(error: Exception) -> str:
    """What is wrong with the store and what to do, in one sentence."""
    text = " ".join(scrubbed(str(error)).split())
    if isinstance(error, Timeout):
        return "another process keeps the database locked."
    for pattern, sentence in _SENTENCES.items():
        if found := re.search(pattern, text):
            return found.expand(sentence)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used: {error.strerror}."
    return f"{type(error).__name__}: {text[:200]}"


def reach(uri: str) -> None:
    """Raises TrackingError unless the store answers; a local one need not exist yet."""
    database = _sqlite_file(uri)
    if database and not database.exists() and _can_be_made(database.absolute().parent):
        return
    with open_store(uri) as client:
        client.search_experiments(max_results=1)


def _can_be_made(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and os.access(folder, os.W_OK))


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _experiment_id(client: Any, uri: str, name: str) -> str:
    """The id of the experiment, created with an explicit place for its artifacts."""
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    database = _sqlite_file(uri)
    place = str(database.absolute().parent / "mlartifacts") if database else None
    tags = {"mlflow.experimentKind": "custom_model_development"}  # the page for training runs
    try:
        return client.create_experiment(name, artifact_location=place, tags=tags)
    except Exception:
        if found := client.get_experiment_by_name(name):  # another process was quicker
            return found.experiment_id
        raise


def create_run(client: Any, uri: str, entry: Entry, folder: str) -> str:
    """Creates a run in the store, unless an earlier attempt has; returns its id.

    Args:
        folder: The name of the run's folder, with which a run that is there may be tagged.
    """
    experiment = _experiment_id(client, uri, entry["experiment"])
    for tag in dict.fromkeys([entry["run"], folder]):
        if found := find_tagged(client, tag, [experiment]):
            return found.info.run_id
    tags = {TAG: entry["run"]}
    if parent := entry.get("parent"):
        tags[PARENT] = _mlflow_id(client, parent)
    run = client.create_run(experiment, start_time=entry["time"], run_name=entry["name"], tags=tags)
    return _plain(run.info.run_id)


def _plain(name: str) -> str:
    """A name that a store gives, fit for a folder: a hostile one could lead out of its place."""
    if not re.fullmatch(r"\w+", name):
        raise TrackingError(f'the store calls a run "{name}", which is no id of MLflow\'s.')
    return name


def find_tagged(client: Any, run: str, experiments: list[str] | None = None) -> Any | None:
    """The run of this id in kerascnn, which is MLflow's own unless the store was away then."""
    if experiments is None:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`{TAG}` = '{run}'", max_results=1)
    return found[0] if found else None


def _mlflow_id(client: Any, run: str) -> str:
    found = find_tagged(client, run)
    return found.info.run_id if found else run


def send(client: Any, run_id: str, entry: Entry, folder: Path) -> None:
    """Sends one entry of a run's journal: what its `kind` says.

    Raises:
        RefusedError: It can never be sent.
    """
    if entry["kind"] not in _SEND:
        raise RefusedError("the line cannot be read")
    if "path" in entry:
        entry = {**entry, "path": str(folder / entry["path"])}
        if not os.path.exists(entry["path"]):
            raise RefusedError(f"there is no {entry['path']} any more")
    try:
        _SEND[entry["kind"]](client, run_id, entry)
    except Exception as error:
        if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
            raise RefusedError(_reason(error)) from error
        raise


def _params(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Param

    params = [Param(_name(key), str(value)[:6000]) for key, value in entry["values"].items()]
    for start in range(0, len(params), 100):  # MLflow's limit
        client.log_batch(run_id, params=params[start : start + 100])


def _tags(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import RunTag

    tags = [RunTag(_name(key), str(value)[:8000]) for key, value in entry["values"].items()]
    for start in range(0, len(tags), 100):
        client.log_batch(run_id, tags=tags[start : start + 100])


def _metrics(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(_name(key), value, entry["time"], entry["step"])
        for key, value in entry["values"].items()
    ]
    for start in range(0, len(metrics), 1000):  # MLflow's limit
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def _datasets(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for split in entry["splits"]:
        dataset = Dataset(
            name=split["name"],
            digest=split["digest"][:36],  # MLflow's limit
            source_type="kerascnn",
            source=json.dumps({"name": split["name"]}),
            profile=json.dumps({"num_rows": split["images"]}),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", split["context"])]))
    client.log_inputs(run_id, datasets=inputs)


def _artifact(client: Any, run_id: str, entry: Entry) -> None:
    client.log_artifact(run_id, entry["path"])


def _model(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    if run.outputs and run.outputs.model_outputs:
        return  # sent before, and the answer was lost
    model = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, model_type="keras"
    )
    client.log_model_artifacts(model.model_id, entry["path"])
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def _nest(client: Any, run_id: str, entry: Entry) -> None:
    for child in entry["runs"]:
        try:
            client.set_tag(_mlflow_id(client, child), PARENT, run_id)
        except Exception as error:  # a run that is not in this store is not shown in it
            if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
                raise


def _resume(client: Any, run_id: str, entry: Entry) -> None:
    client.update_run(run_id, status="RUNNING")
    if FAILURE in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, FAILURE)


def _end(client: Any, run_id: str, entry: Entry) -> None:
    client.set_terminated(run_id, entry["status"], entry["time"])


def _name(key: str) -> str:
    """MLflow allows letters, digits, and - _ . : / space in a name."""
    return re.sub(r"[^/\w.\- :]", "_", key)


_SEND = {
    "params": _params,
    "tags": _tags,
    "metrics": _metrics,
    "datasets": _datasets,
    "artifact": _artifact,
    "model": _model,
    "nest": _nest,
    "resume": _resume,
    "end": _end,
}


def save_model(model: Any, folder: Path, image_size: int) -> None:
    """Writes a model as MLflow does, with its signature, so that MLflow can load and serve it.

    Args:
        model: A Keras model from float32 [B, S, S, 3] to probabilities [B, K].
        folder: Is created.
        image_size: Pixels S.
    """
    import mlflow.keras
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from kerascnn.runtime import versions

    def tensor(*shape: int) -> Any:
        return Schema([TensorSpec(np.dtype("float32"), (-1, *shape))])

    installed = versions()
    backend = os.environ["KERAS_BACKEND"]
    signature = ModelSignature(tensor(image_size, image_size, 3), tensor(model.output_shape[-1]))
    packages = [f"{name}=={installed[name]}" for name in ("keras", backend, "numpy")]
    mlflow.keras.save_model(model, str(folder), signature=signature, pip_requirements=packages)


def fetch_run(run: str, runs: Path) -> Path | None:
    """Brings a run that the store knows and this folder does not; None if it knows none such.

    Args:
        run: A unique prefix of the run's id, in kerascnn or in MLflow.
        runs: The folder that holds the runs' folders.
    """
    with open_store(tracking_uri()) as client:
        found = [
            known
            for known in _kerascnn_runs(client)
            if known.info.run_id.startswith(run) or known.data.tags[TAG].startswith(run)
        ]
        if len(found) != 1:
            return None
        folder = runs / _plain(found[0].data.tags[TAG])
        if not folder.exists():
            runs.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=runs, prefix=".fetched-") as scratch:
                _download(client, found[0], Path(scratch) / "run")
                (Path(scratch) / "run").rename(folder)
        return folder


def _download(client: Any, run: Any, folder: Path) -> None:
    """The run's artifacts, and its model beside them."""
    import mlflow

    folder.mkdir()
    client.download_artifacts(run.info.run_id, "", str(folder))
    mlflow.artifacts.download_artifacts(
        f"runs:/{run.info.run_id}/model", dst_path=str(folder), tracking_uri=tracking_uri()
    )


def _kerascnn_runs(client: Any) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    if not experiments:
        return []
    return list(client.search_runs(experiments, f"tags.`{TAG}` LIKE '%'", max_results=1000))


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
