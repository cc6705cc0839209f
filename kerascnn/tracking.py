"""MLflow: what a run logs goes through a journal on disk, so that no server can lose or stop it.

This is the only file that imports mlflow. The journal is a file of JSON lines in the run's
folder; a thread sends its entries in order. Sending an entry twice changes nothing, for metrics
carry their own time, so what a server missed is simply sent again by a later command.
"""

import json
import logging
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from kerascnn.errors import KerascnnError

RUNS = "kerascnn-runs"
JOURNAL = "tracking.jsonl"
STATE = "tracking.json"
TAG = "kerascnn.run"

START_SECONDS = 30.0  # a fresh SQLite store takes some; a server that answers takes less
END_SECONDS = 20.0
RETRY_SECONDS = 30.0

_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
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
def _store(uri: str) -> Iterator[Any]:
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
        with _store(uri) as client:
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


@dataclass
class Journal:
    """The entries of one run on disk, and how many of them the store has.

    Args:
        folder: The run's folder.
        uri: The tracking store.
        mlflow_id: The run's id in the store, None until it has been created there.
        sent: The number of entries that the store has.
    """

    folder: Path
    uri: str
    mlflow_id: str | None = None
    sent: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Journal":
        state = json.loads((folder / STATE).read_text())
        lines = (folder / JOURNAL).read_text().splitlines()
        return cls(
            folder, state["uri"], state["mlflow_id"], state["sent"], list(map(json.loads, lines))
        )

    @property
    def pending(self) -> int:
        return len(self.entries) - self.sent

    def add(self, kind: str, **content: Any) -> None:
        entry = {"kind": kind, "time": int(time.time() * 1000), **content}
        self.entries.append(entry)
        if self.folder.is_dir():
            with (self.folder / JOURNAL).open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def write(self) -> None:
        """Puts the whole journal into the run's folder, which may just have been made."""
        (self.folder / JOURNAL).write_text("".join(json.dumps(e) + "\n" for e in self.entries))
        self.save_state()

    def save_state(self) -> None:
        if self.folder.is_dir():
            state = {"uri": shown_uri(self.uri), "mlflow_id": self.mlflow_id, "sent": self.sent}
            (self.folder / STATE).write_text(json.dumps(state))

    def send(self) -> None:
        """Sends what is pending, in order; raises TrackingError where the store fails."""
        with _store(self.uri) as client:
            while self.sent < len(self.entries):
                _SEND[self.entries[self.sent]["kind"]](client, self, self.entries[self.sent])
                self.sent += 1
        self.save_state()


def _create(client: Any, journal: Journal, entry: dict[str, Any]) -> None:
    experiment = _experiment_id(client, journal.uri, entry["experiment"])
    run = client.create_run(experiment, start_time=entry["time"], run_name=entry["name"])
    journal.mlflow_id = run.info.run_id


def _params(client: Any, journal: Journal, entry: dict[str, Any]) -> None:
    from mlflow.entities import Param

    params = [Param(key, str(value)[:6000]) for key, value in entry["values"].items()]
    for start in range(0, len(params), 100):  # MLflow's limit
        client.log_batch(journal.mlflow_id, params=params[start : start + 100])


def _tags(client: Any, journal: Journal, entry: dict[str, Any]) -> None:
    from mlflow.entities import RunTag

    tags = [RunTag(key, str(value)) for key, value in entry["values"].items()]
    client.log_batch(journal.mlflow_id, tags=tags)


def _metrics(client: Any, journal: Journal, entry: dict[str, Any]) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(key, value, entry["time"], entry["step"]) for key, value in entry["values"].items()
    ]
    for start in range(0, len(metrics), 1000):  # MLflow's limit
        client.log_batch(journal.mlflow_id, metrics=metrics[start : start + 1000])


def _artifact(client: Any, journal: Journal, entry: dict[str, Any]) -> None:
    client.log_artifact(journal.mlflow_id, str(journal.folder / entry["path"]))


def _model(client: Any, journal: Journal, entry: dict[str, Any]) -> None:
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(journal.mlflow_id)
    model = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=journal.mlflow_id, model_type="keras"
    )
    client.log_model_artifacts(model.model_id, str(journal.folder / entry["path"]))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(journal.mlflow_id, [LoggedModelOutput(model.model_id, 0)])


def _end(client: Any, journal: Journal, entry: dict[str, Any]) -> None:
    client.set_terminated(journal.mlflow_id, entry["status"], entry["time"])


_SEND = {
    "create": _create,
    "params": _params,
    "tags": _tags,
    "metrics": _metrics,
    "artifact": _artifact,
    "model": _model,
    "end": _end,
}


class Tracker:
    """Tracks one run; nothing that the store does stops or slows who logs.

    The store is made ready at once, in the background; the run exists from `open` on.

    Args:
        experiment: The name of the MLflow experiment.
        name: The name of the run.
        runs: The folder that holds the runs' folders.
    """

    def __init__(self, experiment: str, name: str, runs: Path) -> None:
        self._local_id = uuid.uuid4().hex
        self._runs = runs
        self._journal = Journal(runs / self._local_id, tracking_uri())
        self._changed = threading.Condition()
        self._closing = False
        self.fault: str | None = None
        self._create = {"experiment": experiment, "name": name}
        self._thread = threading.Thread(target=self._work, daemon=True, name="kerascnn-tracking")
        self._thread.start()

    def open(self) -> tuple[str, Path]:
        """Waits for the run's id in the store, a while, and makes the run's folder.

        Returns:
            The id, MLflow's own where the store has answered, and the folder.
        """
        self._add("create", **self._create)
        with self._changed:
            self._changed.wait_for(lambda: self._journal.sent or self.fault, START_SECONDS)
            run_id = self._journal.mlflow_id or self._local_id
            self._journal.folder = self._runs / run_id
            self._journal.folder.mkdir(parents=True)
            self._journal.write()
        self._add("tags", values={TAG: run_id})
        return run_id, self._journal.folder

    def params(self, values: dict[str, Any]) -> None:
        self._add("params", values=values)

    def tags(self, values: dict[str, Any]) -> None:
        self._add("tags", values=values)

    def metrics(self, values: dict[str, float], step: int) -> None:
        self._add("metrics", values=values, step=step)

    def artifact(self, path: Path) -> None:
        """Logs a file or folder of the run's folder."""
        self._add("artifact", path=path.name)

    def model(self, path: Path) -> None:
        """Logs a folder that `save_model` has written."""
        self._add("model", path=path.name)

    def close(self, status: str = "FINISHED") -> str | None:
        """Ends the run; returns what could not be sent and why, in one sentence, or None."""
        self._add("end", status=status)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(END_SECONDS)
        pending = self._journal.pending
        self._journal.save_state()
        if not pending:
            return None
        return (
            f"{pending} entries could not be sent to {self.fault or shown_uri(self._journal.uri)}; "
            f"they are kept in {self._journal.folder} and sent by the next `kerascnn run`, "
            "`compare` or `ui` that reaches it."
        )

    def _add(self, kind: str, **content: Any) -> None:
        with self._changed:
            self._journal.add(kind, **content)
            self._changed.notify_all()

    def _work(self) -> None:
        ready = False
        while True:
            try:
                if not ready:
                    with _store(self._journal.uri) as client:
                        client.search_experiments(max_results=1)
                    ready = True
                self._journal.send()
                self.fault = None
            except TrackingError as error:
                self.fault = str(error)
            with self._changed:
                self._changed.notify_all()
                if self._closing and (self.fault or not self._journal.pending):
                    return
                if self.fault:
                    self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
                else:
                    self._changed.wait_for(lambda: self._closing or self._journal.pending)


def send_pending(runs: Path) -> list[str]:
    """Sends what earlier runs could not; returns a sentence for each run that was completed."""
    done = []
    for state in sorted(runs.glob(f"*/{STATE}")):
        with FileLock(state.with_suffix(".lock")):
            journal = Journal.read(state.parent)
            if not journal.pending or journal.entries[-1]["kind"] != "end":
                continue
            try:
                count = journal.pending
                journal.send()
                done.append(f"sent {count} kept entries of run {state.parent.name[:8]}")
            except TrackingError:
                journal.save_state()
    return done


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
    with _store(tracking_uri()) as client:
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
