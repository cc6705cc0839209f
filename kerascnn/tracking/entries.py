"""Uploads the entries of a run's journal to MLflow's store, by their kind."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerascnn.runtime.address import displayed, sqlite_file
from kerascnn.runtime.commands import command
from kerascnn.tracking.artifacts import artifacts_of, link_into
from kerascnn.tracking.store import (
    TAG,
    RefusingStoreError,
    TrackingError,
    find_tagged,
    open_store,
    plain,
    reason,
)

PARENT = "mlflow.parentRunId"
FAILURE = "failure"  # a tag: the error of a failed run
_DELETED = "must be in the 'active' state"  # MLflow's error for a deleted run

_MOST = {"params": 100, "tags": 100, "metrics": 1000}  # that MLflow takes at once

Entry = dict[str, Any]


class RefusedError(TrackingError):
    """The store will never accept this entry."""


@dataclass
class Uploaded:
    """What became of the entries of a journal.

    Args:
        mlflow_id: The run's id in the store; None until it is created there.
        count: Entries that are uploaded or refused.
        refused: The reason for each entry that the store refused.
        fault: Why the others are not uploaded.
    """

    mlflow_id: str | None
    count: int = 0
    refused: list[str] = field(default_factory=list)
    fault: TrackingError | None = None


def upload(uri: str, mlflow_id: str | None, entries: Sequence[Entry], folder: Path) -> Uploaded:
    """Uploads entries in order until the store fails; without any, it only tries the store."""
    done = Uploaded(mlflow_id)
    try:
        with open_store(uri) as client:
            if not entries:
                client.search_experiments(max_results=1)
            for group in _grouped(entries):
                _upload(client, uri, group, folder, done)
    except TrackingError as error:
        done.fault = error
    return done


def _grouped(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries in a row that one call uploads."""
    group: list[Entry] = []
    for entry in entries:
        if group and not (entry["kind"] in _MOST and _fits([*group, entry])):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _fits(group: list[Entry]) -> bool:
    """Whether all are values, and no more than MLflow takes at once."""
    if group[0]["kind"] not in _MOST:
        return False
    sizes = Counter[str]()
    for entry in group:
        sizes[entry["kind"]] += len(entry["values"])
    return all(size <= _MOST[kind] for kind, size in sizes.items())


def _upload(client: Any, uri: str, group: list[Entry], folder: Path, done: Uploaded) -> None:
    """Uploads a group at once, or one by one if the store refuses one of them."""
    entry = group[0]
    try:
        if len(group) > 1 and done.mlflow_id:
            send(client, done.mlflow_id, {"kind": "values", "group": group}, folder)
            done.count += len(group)
            return
    except RefusedError:
        pass
    for entry in group:
        _upload_one(client, uri, entry, folder, done)
        done.count += 1


def _upload_one(client: Any, uri: str, entry: Entry, folder: Path, done: Uploaded) -> None:
    try:
        if entry["kind"] == "create":
            done.mlflow_id = done.mlflow_id or create_run(client, uri, entry, folder.name)
        elif done.mlflow_id:
            send(client, done.mlflow_id, entry, folder)
        else:
            raise RefusedError("the journal's first line is damaged")
    except RefusedError as error:
        done.refused.append(f"{entry['kind']}: {error}")


def create_run(client: Any, uri: str, entry: Entry, folder: str) -> str:
    """Creates a run in the store, unless an earlier attempt did; returns its id.

    An existing run has the tag of the "create" entry, or the name of the run's folder.
    """
    experiment = _experiment_id(client, uri, entry["experiment"])
    for tag in dict.fromkeys([entry["run"], folder]):
        if found := find_tagged(client, tag, [experiment]):
            return found.info.run_id
    tags = {TAG: entry["run"]}
    if parent := entry.get("parent"):
        tags[PARENT] = _mlflow_id(client, parent)
    run = client.create_run(experiment, start_time=entry["time"], run_name=entry["name"], tags=tags)
    return plain(run.info.run_id)


def _experiment_id(client: Any, uri: str, name: str) -> str:
    """The id of the experiment, created if necessary, with an explicit artifact folder.

    Raises:
        RefusingStoreError: It is deleted in the store.
    """
    if found := client.get_experiment_by_name(name):
        if found.lifecycle_stage == "deleted":
            raise RefusingStoreError(_is_deleted(uri, found))
        return found.experiment_id
    database = sqlite_file(uri)
    place = artifacts_of(database).as_uri() if database else None  # a path may hold a "%"
    tags = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's page for training
    try:
        return client.create_experiment(name, artifact_location=place, tags=tags)
    except Exception:
        if found := client.get_experiment_by_name(name):  # another process was faster
            return found.experiment_id
        raise


def _is_deleted(uri: str, experiment: Any) -> str:
    return (
        f'{displayed(uri)}: the experiment "{experiment.name}" is deleted there. `mlflow '
        f"experiments restore --experiment-id {experiment.experiment_id}` restores it; another "
        "`name` in the TOML file starts a new one."
    )


def deleted_experiments(uri: str, names: Container[str]) -> list[str]:
    """A sentence for each experiment of these names that is deleted in the store."""
    from mlflow.entities import ViewType

    with open_store(uri) as client:
        deleted = client.search_experiments(view_type=ViewType.DELETED_ONLY)
    return [_is_deleted(uri, experiment) for experiment in deleted if experiment.name in names]


def _mlflow_id(client: Any, run: str) -> str:
    found = find_tagged(client, run)
    return found.info.run_id if found else run


def send(client: Any, run_id: str, entry: Entry, folder: Path) -> None:
    """Uploads one entry of a run's journal.

    Raises:
        RefusedError: The store will never accept it.
    """
    if entry["kind"] not in _SEND:
        raise RefusedError("the line is damaged")
    if "path" in entry:
        entry = {**entry, "path": str(folder / entry["path"])}
        if not os.path.exists(entry["path"]):
            raise RefusedError(f"{entry['path']} no longer exists")
    try:
        _SEND[entry["kind"]](client, run_id, entry)
    except Exception as error:
        if _DELETED in str(error):
            raise RefusingStoreError(
                f"run {run_id} is deleted in the store; `mlflow runs restore --run-id {run_id}` "
                f"restores it, `{command('runs', 'remove', run_id)}` removes it here too."
            ) from error
        if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
            raise RefusedError(reason(error)) from error
        raise


def delete_run(client: Any, run_id: str) -> None:
    """Marks a run and its model as deleted, if the store still has the run."""
    try:
        run = client.get_run(run_id)
        if run.info.lifecycle_stage == "deleted":
            return
        for output in run.outputs.model_outputs if run.outputs else ():
            client.delete_logged_model(output.model_id)
        client.delete_run(run_id)
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
            raise


def _values(client: Any, run_id: str, entry: Entry) -> None:
    """Logs params, tags or metrics, within MLflow's limits."""
    kind, rows = entry["kind"], _rows(entry)
    for start in range(0, len(rows), _MOST[kind]):
        client.log_batch(run_id, **{kind: rows[start : start + _MOST[kind]]})


def _group(client: Any, run_id: str, entry: Entry) -> None:
    """Logs several entries of params, tags and metrics in one call."""
    batch: dict[str, list[Any]] = {kind: [] for kind in _MOST}
    for one in entry["group"]:
        batch[one["kind"]] += _rows(one)
    client.log_batch(run_id, **batch)


def _rows(entry: Entry) -> list[Any]:
    from mlflow.entities import Metric, Param, RunTag

    make: dict[str, Callable[[str, Any], Any]] = {
        "params": lambda name, value: Param(name, str(value)[:6000]),
        "tags": lambda name, value: RunTag(name, str(value)[:8000]),
        "metrics": lambda name, value: Metric(name, value, entry["time"], entry["step"]),
    }
    named = {re.sub(r"[^/\w.\- :]", "_", key): value for key, value in entry["values"].items()}
    return [make[entry["kind"]](key, value) for key, value in named.items()]


def _datasets(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for split in entry["splits"]:
        name, digest = split["name"], split["digest"][:36]  # MLflow's limit
        source, profile = json.dumps({"name": name}), json.dumps({"num_rows": split["images"]})
        dataset = Dataset(name, digest, "kerascnn", source, profile=profile)
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", split["context"])]))
    client.log_inputs(run_id, datasets=inputs)


def _model(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    if run.outputs and run.outputs.model_outputs:
        return  # it was uploaded, but the answer was lost
    model = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, model_type="keras"
    )
    if not link_into(model.artifact_location, entry["path"]):
        client.log_model_artifacts(model.model_id, entry["path"])
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def _nest(client: Any, run_id: str, entry: Entry) -> None:
    for child in entry["runs"]:
        try:
            client.set_tag(_mlflow_id(client, child), PARENT, run_id)
        except Exception as error:  # a run of another store cannot be nested
            absent = getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST"
            if not absent and _DELETED not in str(error):
                raise


def _resume(client: Any, run_id: str, entry: Entry) -> None:
    client.update_run(run_id, status="RUNNING")
    if FAILURE in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, FAILURE)


_SEND: dict[str, Callable[[Any, str, Entry], None]] = {
    "params": _values,
    "tags": _values,
    "metrics": _values,
    "values": _group,
    "datasets": _datasets,
    "artifact": lambda client, run_id, entry: client.log_artifact(run_id, entry["path"]),
    "model": _model,
    "nest": _nest,
    "resume": _resume,
    "end": lambda client, run_id, e: client.set_terminated(run_id, e["status"], e["time"]),
}
