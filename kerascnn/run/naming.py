"""The name of a run: its network, and its differences from the experiment's first run."""

import tomllib
from typing import Any

from kerascnn.engine.result.run import EXPERIMENT
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.model import incidental
from kerascnn.experiment.tables import flatten
from kerascnn.results.find import first_run_of
from kerascnn.runtime.text import abbreviated

NAMED = 3  # differences
LONGEST = 24  # characters of a value


def run_name(experiment: BoundExperiment) -> str:
    """Differences first, because MLflow truncates names: `seed=1, head.epochs=4 · resnet50`."""
    network = f"{experiment.architecture.name} on {experiment.dataset.name}"
    differ = [_said(key, value) for key, value in _differences(experiment)]
    if not differ:
        return f"{network}, seed {experiment.seed}"
    return f"{abbreviated(differ, NAMED)} · {network}"


def _differences(experiment: BoundExperiment) -> list[tuple[str, Any]]:
    """The settings that differ from the first run's, or that only one of them has."""
    first = first_run_of(experiment.name)
    try:
        then = flatten(tomllib.loads((first / EXPERIMENT).read_text("utf-8"))) if first else None
    except (OSError, ValueError):  # it failed before it wrote its experiment
        then = None
    if then is None:
        return []
    now = flatten(experiment.resolved)
    differ = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    others = tuple(key.removesuffix("name") for key in differ if key.endswith(".name"))
    return [
        (key.removesuffix(".name"), now.get(key))
        for key in differ
        if not incidental(key) and (key.endswith(".name") or not key.startswith(others))
    ]


def _said(key: str, value: Any) -> str:
    """A setting as `stage.key=value`, without the name of its table."""
    table, _, rest = key.partition(".")
    text = "none" if value is None else str(value)
    short = text if len(text) <= LONGEST else f"…{text[-LONGEST:]}"
    return f"{rest or table}={short}"
