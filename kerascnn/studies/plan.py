"""What a study was asked, as a TOML file in its folder: enough to go on after it was killed."""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from kerascnn.components.registry import Registry, load_registry
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.experiment.paths import read_from, written_to
from kerascnn.runtime.files import write_whole


def write_plan(file: Path, experiment: BoundExperiment, own: dict[str, Any]) -> None:
    """Writes the experiment, and what the study itself was asked."""
    resolved = experiment.resolved
    written_to(file.parent, resolved, experiment.registry)
    write_whole(file, tomli_w.dumps({**own, "experiment": resolved}))


def read_plan(
    file: Path, registry: Registry | None = None
) -> tuple[BoundExperiment, dict[str, Any]]:
    """The experiment and the rest of what `write_plan` has written."""
    own = tomllib.loads(file.read_text("utf-8"))
    registry, data = registry or load_registry(), own.pop("experiment")
    read_from(file.parent, data, registry, lambda warning: None)
    return bind_experiment(data, registry), own
