"""The observer `my_component`: a table of the epochs, in the run's folder."""

import csv
from pathlib import Path

from pydantic import Field

from kerascnn import Component, Observer, Params, hookimpl


class TableParams(Params):
    """The component's keys in the TOML; `plugins show` lists their descriptions and bounds."""

    file: str = Field("epochs.csv", min_length=1, description="Its name in the run's folder.")


class Table(Observer):
    """Writes a row after each epoch; it runs in a process of its own, which may be ended."""

    def __init__(self, params):
        self.name = params.file
        self.stage = ""

    def tracked(self, run_id, store, folder):
        self.path = Path(folder, self.name)

    def stage_started(self, stage):
        self.stage = stage.name

    def epoch(self, epoch, total):
        row = {"stage": self.stage, "epoch": epoch.number, **epoch.metrics}
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)


@hookimpl
def kerascnn_observers():
    return [Component("my_component", Table, TableParams, "a table of the epochs")]
