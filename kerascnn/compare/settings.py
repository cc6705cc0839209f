"""The settings of runs, and which of them differ."""

import re
from typing import Any

from kerascnn.config import flatten
from kerascnn.runs import Result

Settings = dict[str, Any]


def settings_of(result: Result) -> Settings:
    """All that decides what a run comes to."""
    return flatten(result.experiment) | {"backend": result.backend}


def differing(settings: list[Settings]) -> list[str]:
    """The settings that differ, without the parameters of components that differ in name, and
    without the details of stages that some runs lack."""
    keys = dict.fromkeys(key for table in settings for key in table)
    found = [key for key in keys if len({str(table.get(key)) for table in settings}) > 1]

    def is_detail(key: str) -> bool:
        parents = key.split(".")
        owners = [".".join([*parents[: depth + 1], "name"]) for depth in range(len(parents) - 1)]
        return any(
            owner in found and owner != key and (not _of_stage(owner) or _lacks(settings, owner))
            for owner in owners
        )

    return [key for key in found if not is_detail(key)]


def _of_stage(name_key: str) -> bool:
    return re.fullmatch(r"stages\.\d+\.name", name_key) is not None


def _lacks(settings: list[Settings], key: str) -> bool:
    return any(key not in table for table in settings)
