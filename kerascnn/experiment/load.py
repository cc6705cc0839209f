"""Reads an experiment from a TOML file; reports every fault at once, with no heavy import."""

import os
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerascnn.components.registry import Registry, load_registry
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.experiment.paths import read_from
from kerascnn.experiment.problems import report
from kerascnn.experiment.syntax import explain_syntax
from kerascnn.experiment.tables import override
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.commands import command


def load_experiment(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    warn: Callable[[str], Any] = warnings.warn,
    observers: Sequence[str] = (),
) -> BoundExperiment:
    """Reads, checks and binds an experiment.

    Args:
        path: A TOML file; relative paths in it are relative to its folder.
        overrides: Dotted keys and their values, such as `{"stages.head.epochs": 1}`; relative
            paths among them are relative to the working directory.
        registry: The components; default all that are installed.
        warn: Receives warnings about the file; default Python's `warnings.warn`.
        observers: Names of observers to add, unless the file has them; `overrides` may set their
            parameters.

    Raises:
        InputError: One message with every fault: line, key, what was expected and received.
    """
    expect(path, (str, os.PathLike), "path", " Pass the path of a TOML file.")
    expect(overrides or {}, Mapping, "overrides")
    try:
        text, data = read_toml(Path(path))
        if is_sweep(data):
            begins = command("sweep", str(path))
            raise InputError(f"{path} is a sweep, not an experiment; `{begins}` runs it.")
        registry = registry or load_registry()
        read_from(Path(path).parent, data, registry, lambda said: warn(f"{path}: {said}"))
        added = _add_observers(data, observers)
        overrides = _set(data, overrides or {}) | added
        experiment = bind_experiment(data, registry, text, str(path), overrides)
        if problems := list(experiment.faults()):
            raise InputError(report(problems, data, text, str(path), overrides))
        return experiment
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply for an experiment.") from error


def is_sweep(data: Mapping[str, Any]) -> bool:
    """Whether the content of a TOML file is that of a sweep, not of an experiment."""
    return "space" in data or isinstance(data.get("experiment"), str)


def _add_observers(data: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Adds tables of these names that are not there yet; returns their dotted keys."""
    tables = data.get("observers", [])
    if not isinstance(tables, list):
        return {}  # the model reports it
    given = [table.get("name") if isinstance(table, dict) else table for table in tables]
    new = [{"name": name} for name in dict.fromkeys(names) if name not in given]
    if new:
        data["observers"] = [*tables, *new]
    return {f"observers.{len(tables) + index}": table for index, table in enumerate(new)}


def _set(data: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Sets dotted keys; returns them with indices instead of the stages' names."""
    try:
        return {override(data, key, value): value for key, value in overrides.items()}
    except InputError as error:
        raise InputError(f"--set {error}") from error


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """The text of a TOML file and what it holds.

    Raises:
        InputError: It cannot be read, or is not TOML.
    """
    try:
        text = path.read_text("utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.toml")])
        raise InputError(f"cannot read {path}: {error.strerror}.{near}") from error
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise InputError(f"{path}, line {line}: not UTF-8; save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(explain_syntax(error, text, str(path))) from error
