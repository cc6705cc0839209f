"""The settings of runs, and which of them differ."""

import re
from typing import Any

from kerascnn.engine.result.outcome import Outcome
from kerascnn.experiment.model import incidental
from kerascnn.experiment.tables import flatten

Settings = dict[str, Any]


def settings_of(result: Outcome) -> Settings:
    """All settings that affect the result of a run."""
    settings = flatten(result.experiment)
    decisive = {key: value for key, value in settings.items() if not incidental(key)}
    return decisive | {"backend": result.backend}


def differing(settings: list[Settings]) -> list[str]:
    """The settings that differ.

    Parameters of components that differ in name are left out; settings of a stage are compared
    among the runs that have it.
    """
    keys = dict.fromkeys(key for table in settings for key in table)
    found = [key for key in keys if _differs(key, settings)]

    def is_parameter(key: str) -> bool:
        parents = key.split(".")
        owners = [".".join([*parents[: depth + 1], "name"]) for depth in range(len(parents) - 1)]
        return any(owner in found and owner != key for owner in owners if not _is_stage(owner))

    return [key for key in found if not is_parameter(key)]


def _is_stage(owner: str) -> bool:
    return re.fullmatch(r"stages\.[^.]+\.name", owner) is not None


def _differs(key: str, settings: list[Settings]) -> bool:
    stage = re.match(r"stages\.[^.]+\.", key)
    name = f"{stage[0]}name" if stage else key
    having = settings if name == key else [table for table in settings if name in table]
    return len({str(table.get(key)) for table in having}) > 1
