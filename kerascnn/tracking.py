"""MLflow: the store of runs, what is sent to it and fetched from it.

This is the only file that imports mlflow.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from kerascnn.errors import KerascnnError

TAG = "kerascnn.run"

Entry = dict[str, Any]

_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class TrackingError(KerascnnError):
    """The tracking store cannot be reached or refuses."""


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or MLflow's own default made explicit: mlflow.db in this folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"


def shown_uri(uri: str) -> str:
    """The address without the user name and password that may stand in it."""
    return uri.replace(_credentials(uri), "")


def _credentials(uri: str) -> str:
    return "".join(urlsplit(uri).netloc.rpartition("@")[:2])


@contextmanager
def open_store(uri: str) -> Iterator[Any]:
    """A client of the store; every failure comes out as a TrackingError."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)

    try:
        if path := _sqlite_file(uri):
            with FileLock(f"{path}.lock"):  # two processes must not both create the tables
                client = mlflow.MlflowClient(uri)
                client.search_experiments(max_results=1)
        else:
            client = mlflow.MlflowClient(uri)
        yield client
    except TrackingError:
        raise
    except Exception as error:
        reason = " ".join(str(error).replace(_credentials(uri), "").split())[:200]
        raise TrackingError(f"{shown_uri(uri)}: {type(error).__name__}: {reason}") from error


def reach(uri: str) -> None:
    """Raises TrackingError unless the store answers; a local one need not exist yet."""
    database = _sqlite_file(uri)
    if database is None or database.is_file():
        with open_store(uri) as client:
            client.search_experiments(max_results=1)


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _experiment_id(client: Any, uri: str, name: str) -> str:
    """The id of the experiment, created with an explicit place for its artifacts."""
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    database = _sqlite_file(uri)
    place = str(database.absolute().parent / "mlartifacts") if database else None
    tags = {"mlflow.experimentKind": "custom_model_development"}  # the page for training runs
    return client.create_experiment(name, artifact_location=place, tags=tags)


def create_run(client: Any, uri: str, entry: Entry) -> str:
    """Creates a run in the store; returns its id."""
    experiment = _experiment_id(client, uri, entry["experiment"])
    run = client.create_run(experiment, start_time=entry["time"], run_name=entry["name"])
    return run.info.run_id


def send(client: Any, run_id: str, entry: Entry) -> None:
    """Sends one entry of a run's journal: what its `kind` says."""
    _SEND[entry["kind"]](client, run_id, entry)


def _params(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Param

    params = [Param(key, str(value)[:6000]) for key, value in entry["values"].items()]
    for start in range(0, len(params), 100):  # MLflow's limit
        client.log_batch(run_id, params=params[start : start + 100])


def _tags(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import RunTag

    tags = [RunTag(key, str(value)) for key, value in entry["values"].items()]
    client.log_batch(run_id, tags=tags)


def _metrics(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(key, value, entry["time"], entry["step"]) for key, value in entry["values"].items()
    ]
    for start in range(0, len(metrics), 1000):  # MLflow's limit
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def _artifact(client: Any, run_id: str, entry: Entry) -> None:
    client.log_artifact(run_id, entry["path"])


def _model(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    model = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, model_type="keras"
    )
    client.log_model_artifacts(model.model_id, entry["path"])
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def _end(client: Any, run_id: str, entry: Entry) -> None:
    client.set_terminated(run_id, entry["status"], entry["time"])


_SEND = {
    "params": _params,
    "tags": _tags,
    "metrics": _metrics,
    "artifact": _artifact,
    "model": _model,
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
        run: A unique prefix of the run's id.
        runs: The folder that holds the runs' folders.
    """
    with open_store(tracking_uri()) as client:
        found = [info for info in _kerascnn_runs(client) if info.run_id.startswith(run)]
        if len(found) != 1:
            return None
        folder = runs / found[0].run_id
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=runs, prefix=".fetched-") as scratch:
            _download(client, found[0].run_id, scratch)
            shutil.copytree(scratch, folder)
        return folder


def _download(client: Any, run_id: str, folder: str) -> None:
    import mlflow

    client.download_artifacts(run_id, "", folder)
    mlflow.artifacts.download_artifacts(
        f"runs:/{run_id}/model", dst_path=folder, tracking_uri=tracking_uri()
    )


def _kerascnn_runs(client: Any) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    if not experiments:
        return []
    runs = client.search_runs(experiments, f"tags.`{TAG}` LIKE '%'", max_results=1000)
    return [run.info for run in runs]
