"""MLflow's store of runs: opening it, finding and downloading runs, the page that lists them."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.errors import KerascnnError
from kerascnn.runtime.address import address_fault, displayed, sqlite_file, sqlite_uri, tracking_uri
from kerascnn.runtime.cache import cached
from kerascnn.runtime.files import whole_file, whole_folder
from kerascnn.runtime.process import put_back, set_variable
from kerascnn.runtime.redact import scrubbed
from kerascnn.tracking.artifacts import follow

TAG = "kerascnn.run"
VIEW = "kerascnn"  # the key of a shared view of MLflow's table of runs: its choice of columns
COLUMNS = ("metrics.`test_accuracy`", "metrics.`val_accuracy`")
EMPTY = "empty.db"
LONGEST = 1000  # characters of an error; its remedy comes last
LOCK_SECONDS = 60.0  # longer than another process needs to create a database's tables

_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


_SENTENCES = {
    r"database schema|Can't locate revision": (
        "another version of MLflow made the database. If an older one did, copy the database and "
        "run `mlflow db upgrade` with this address; if a newer one did, upgrade MLflow."
    ),
    r"file is not a database|malformed": (
        "the database is damaged; restore a backup or move it away."
    ),
    r"database is locked": "the database is locked by another process.",
    r"timed out": "it did not answer in time.",
    r"Connection refused|NewConnectionError": "nothing answers there.",
    r"too many (\d+) error responses|error code (\d+)": r"it answered with error \1\2.",
}


class TrackingError(KerascnnError):
    """The tracking store cannot be reached or used."""


class RefusingStoreError(TrackingError):
    """The store accepts nothing until the user does what the message says."""


def quiet() -> None:
    """Sets MLflow's environment: no telemetry and short timeouts, unless the user sets them."""
    for name, value in _QUIET.items():
        set_variable(name, value, unless_set=True)


@contextmanager
def open_store(uri: str) -> Iterator[Any]:
    """Yields a client of the store; raises TrackingError whenever the store fails."""
    if fault := address_fault(uri):
        raise RefusingStoreError(fault)
    quiet()
    import mlflow

    for logger in map(logging.getLogger, ("mlflow", "alembic")):  # errors say what fails
        if logger.level != logging.CRITICAL:
            put_back(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
    try:
        with _fresh_database(uri):
            client = mlflow.MlflowClient(uri)
            if sqlite_file(uri):
                client.search_experiments(max_results=1)
        yield client
    except (KerascnnError, GeneratorExit):
        raise
    except Exception as error:
        raise TrackingError(f"{displayed(uri)}: {reason(error)}") from error


@contextmanager
def _fresh_database(uri: str) -> Iterator[None]:
    """Lets one process at a time create the tables of a SQLite database or correct its paths."""
    path = sqlite_file(uri)
    if path is None or (path.is_file() and not os.access(path.parent, os.W_OK)):
        yield
        return
    with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
        if not path.exists():
            with suppress(KerascnnError):  # without a cache MLflow creates the tables
                _copy_empty_database(path)
        if os.access(path, os.W_OK):
            follow(path)
        yield


def _copy_empty_database(path: Path) -> None:
    """Copies a database with empty tables, which MLflow takes 5 to 15 s to create."""
    import mlflow
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    def build(folder: Path) -> None:
        engine = create_sqlalchemy_engine(sqlite_uri(folder / EMPTY))
        _initialize_tables(engine)
        engine.dispose()

    def copy(folder: Path) -> None:
        with whole_file(path) as new:
            shutil.copyfile(folder / EMPTY, new)

    key = hashlib.sha256(f"mlflow {mlflow.__version__}".encode()).hexdigest()
    cached("databases", key, f"tables of MLflow {mlflow.__version__}", build, copy)


def reason(error: Exception) -> str:
    """What is wrong with the store, and what to do."""
    text = " ".join(scrubbed(str(error)).partition("[SQL:")[0].split())
    if isinstance(error, Timeout):
        return "the database is locked by another process."
    for pattern, sentence in _SENTENCES.items():
        if found := re.search(pattern, text):
            return found.expand(sentence)
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}."
    return f"{type(error).__name__}: {text[:LONGEST]}"


def reach(uri: str) -> None:
    """Raises TrackingError unless the store answers; a local one may be missing."""
    database = sqlite_file(uri)
    if database and not database.exists():
        folder = database.absolute().parent
        if not folder.exists() or (folder.is_dir() and os.access(folder, os.W_OK)):
            return
    with open_store(uri) as client:
        client.search_experiments(max_results=1)


def plain(name: str) -> str:
    """A run's id from a store, checked: a hostile one could name a folder elsewhere."""
    if not re.fullmatch(r"\w+", name):
        raise TrackingError(f'the store returned the run id "{name}", which is not valid.')
    return name


def find_tagged(client: Any, run: str, experiments: list[str] | None = None) -> Any | None:
    """The run with this id in kerascnn: MLflow's own, unless the store was away at its start."""
    if experiments is None:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`{TAG}` = '{run}'", max_results=1)
    return found[0] if found else None


def runs_table(client: Any, experiment: str | None, columns: Sequence[str] = ()) -> str:
    """The fragment of the address of MLflow's table of an experiment's runs.

    Args:
        experiment: Its name; None if there is no run yet.
        columns: Shown besides test and validation accuracy, such as "params.`seed`".
    """
    found = client.get_experiment_by_name(experiment) if experiment else None
    if found is None:
        return "#/experiments"
    shown = {"selectedColumns": list(dict.fromkeys([*COLUMNS, *columns]))}
    tag, view = f"mlflow.sharedViewState.{VIEW}", json.dumps(shown)
    if found.tags.get(tag) != view:
        client.set_experiment_tag(found.experiment_id, tag, view)
    return f"#/experiments/{found.experiment_id}/runs?viewStateShareKey={VIEW}"


def fetch_run(run: str, runs: Path) -> Path | None:
    """Downloads a run that is in the store but not in the folder `runs`; returns its folder.

    None unless `run` is a unique prefix of its id, in kerascnn or in MLflow.
    """
    with open_store(tracking_uri()) as client:
        from mlflow.artifacts import download_artifacts

        found = [
            known
            for known in _kerascnn_runs(client)
            if known.info.run_id.startswith(run) or known.data.tags[TAG].startswith(run)
        ]
        if len(found) != 1:
            return None
        folder = runs / plain(found[0].data.tags[TAG])
        if not folder.exists():
            runs.mkdir(parents=True, exist_ok=True)
            with whole_folder(folder) as new:
                client.download_artifacts(found[0].info.run_id, "", str(new))
                for model in found[0].outputs.model_outputs:
                    # not runs:/ID/model, which would be resolved in the environment's store
                    place = client.get_logged_model(model.model_id).artifact_location
                    files = download_artifacts(
                        place, dst_path=str(new), tracking_uri=tracking_uri()
                    )
                    Path(files).rename(new / "model")
        return folder


def _kerascnn_runs(client: Any) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    if not experiments:
        return []

    def page(token: str | None) -> Any:
        return client.search_runs(experiments, f"tags.`{TAG}` LIKE '%'", page_token=token)

    pages = [page(None)]
    while pages[-1].token:
        pages.append(page(pages[-1].token))
    return list(chain.from_iterable(pages))
