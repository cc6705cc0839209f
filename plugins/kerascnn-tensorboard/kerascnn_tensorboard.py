"""The observer `tensorboard`: writes a run's curves, settings and results for TensorBoard."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from kerascnn import Component, Observer, Params, hookimpl


class TensorBoardParams(Params):
    log_dir: Path | None = Field(
        None,
        description="Folder for the event files, one folder in it for each run; default the folder "
        "`tensorboard` of the run.",
    )


class TensorBoard(Observer):
    """Steps of curves are epochs of all stages together; those of `stage/…` are stages."""

    def __init__(self, params: TensorBoardParams) -> None:
        self.params = params
        self.experiment: dict[str, Any] = {}
        self.epochs_before = self.stage = 0
        self.file: EventFile | None = None

    def prepared(self, overview: Any) -> None:
        self.experiment = overview.experiment

    def tracked(self, run_id: str, store: str, folder: str) -> None:
        own = self.params.log_dir
        place = Path(folder, "tensorboard") if own is None else own / Path(folder).name
        self.file = EventFile(place)
        self.file.text("experiment", f"```json\n{json.dumps(self.experiment, indent=2)}\n```")
        self.file.settings(dict(settings(self.experiment)), run_id)

    def resumed(self, stage: Any, epochs: int, steps: int) -> None:
        if stage and self.file:
            self.file.discard_from(stage.epochs_before + epochs + 1)

    def stage_started(self, stage: Any) -> None:
        self.epochs_before, self.stage = stage.epochs_before, stage.number

    def epoch(self, epoch: Any, total: int) -> None:
        self._scalars(epoch.metrics, self.epochs_before + epoch.number)

    def stage_ended(self, result: Any) -> None:
        for epoch in result.history if result.reused_from else ():  # not trained in this run
            self.epoch(epoch, result.epochs)
        figures = {
            "stage/val_accuracy": result.own.accuracy,
            "stage/val_loss": result.own.loss,
            "stage/seconds": result.seconds,
            "stage/trainable_parameters": result.trainable_parameters,
        }
        self._scalars(figures, self.stage)

    def ended(self, result: Any) -> None:
        figures = {
            f"test/{name}": value
            for name, value in result.test.items()
            if isinstance(value, int | float)
        }
        self._scalars(figures, result.epochs)

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        if self.file:
            self.file.scalars(values, step)


class EventFile:
    """An event file of TensorBoard; each event is on disk when it is written.

    TensorBoard's own `EventFileWriter` would import TensorFlow where that is installed.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._records = RecordWriter((folder / name).open("ab"))
        self._write(file_version="brain.Event:2")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        pairs = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(summary=Summary(value=pairs), step=step)

    def text(self, tag: str, markdown: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.text.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        described = create_summary_metadata(display_name=tag, description="")
        tensor = make_tensor_proto(markdown.encode(), dtype="string")
        value = Summary.Value(tag=tag, metadata=described, tensor=tensor)
        self._write(summary=Summary(value=[value]))

    def settings(self, values: dict[str, Any], run_id: str) -> None:
        """For TensorBoard's table of hyperparameters."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        self._write(summary=hparams_pb(values, trial_id=run_id))

    def discard_from(self, step: int) -> None:
        """Makes TensorBoard ignore what earlier files of the run have from this step on."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._write(session_log=SessionLog(status=SessionLog.START), step=step)

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())
        self._records.flush()


def settings(table: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested tables by its dotted key, with the names of an array's entries."""
    if isinstance(table, list) and any(isinstance(entry, dict) for entry in table):
        table = {entry["name"]: entry for entry in table}
    if isinstance(table, dict):
        for key, value in table.items():
            yield from settings(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, table if isinstance(table, bool | int | float | str) else str(table)


@hookimpl
def kerascnn_observers() -> list[Component]:
    return [Component("tensorboard", TensorBoard, TensorBoardParams, "event files for TensorBoard")]
