"""One TOML file to an `Experiment`: every fault in one message, and no heavy import."""

import json
import os
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kerascnn.components.registry import Bound, Registry, load_registry, validated
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.model import OF_ALL_OPTIMIZERS, OPTIMIZERS, SHARES, Choice, Experiment
from kerascnn.experiment.paths import component_tables, read_from
from kerascnn.experiment.problems import Problem, entry_names, explain, report
from kerascnn.experiment.syntax import escaped_paths, explain_syntax
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.toml import as_toml


def bind(choice: Choice, kind: str, registry: Registry) -> Bound:
    """The component that a choice names, with its parameters."""
    return registry.get(kind, choice.name).bind(choice.params)


def check_experiment(given: Any) -> None:
    """Raises InputError where a public function is given something else than an experiment."""
    expect(given, Experiment, "experiment", ' `load_experiment("FILE.toml")` reads one.')


def load_experiment(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    warn: Callable[[str], Any] = warnings.warn,
) -> Experiment:
    """Reads and checks an experiment.

    Args:
        path: A TOML file; relative paths in it start from its folder.
        overrides: Dotted keys and their values, such as `{"stages.head.epochs": 1}`; relative
            paths among them start from the working directory.
        registry: The components; default all that are installed.
        warn: Receives what does not stop the experiment; default Python's warnings.

    Raises:
        InputError: One message with every fault: line, key, what was expected, what came.
    """
    expect(path, (str, os.PathLike), "path", " The path of a TOML file is asked for.")
    expect(overrides or {}, Mapping, "overrides")
    try:
        text, data = _read(Path(path))
        registry = registry or load_registry()
        read_from(Path(path).parent, data, registry, lambda said: warn(f"{path}: {said}"))
        overrides = {_override(data, key, value): value for key, value in (overrides or {}).items()}
        experiment = parse_experiment(data, registry, text, str(path), overrides)
        if problems := list(_faults_here(experiment, registry)):
            raise InputError(report(problems, data, text, str(path), overrides))
        return experiment
    except RecursionError as error:
        raise InputError(f"{path}: it nests too deeply for an experiment.") from error


def parse_experiment(
    data: dict[str, Any],
    registry: Registry,
    text: str | None = None,
    origin: str = "",
    overrides: Mapping[str, Any] | None = None,
) -> Experiment:
    """Checks the contents of an experiment; `text` and `origin` serve the messages."""
    data = json.loads(json.dumps(data, default=str))  # a date is as good as its text
    problems: list[Problem] = []
    try:
        experiment = validated(Experiment, data)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":  # beyond 200 levels
            raise RecursionError from error
        problems += explain(error, Experiment, data)
    for kind, location, table in component_tables(data):
        problems += _component_problems(kind, location, table, registry)
        problems += escaped_paths(table, text or "", location)
    problems += [*_stage_name_problems(data), *_optimizer_problems(data)]
    if problems:
        raise InputError(report(problems, data, text, origin, overrides or {}))
    return experiment


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.toml")])
        raise InputError(f"{path}: cannot be read: {error.strerror}.{near}") from error
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise InputError(f"{path}, line {line}: not UTF-8 text; save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(explain_syntax(error, text, str(path))) from error


def _override(data: dict[str, Any], dotted: str, value: Any) -> str:
    """Sets a key; returns it with the index of a stage in place of its name."""
    here: Any = data
    parts, keys = dotted.split("."), list[Any]()
    for depth, part in enumerate(parts[:-1]):
        if isinstance(here, dict):
            here.setdefault(part, {})
        keys.append(_key(here, dotted, depth))
        here = here[keys[-1]]
    last = _key(here, dotted, len(keys))
    here[last] = value
    return ".".join(map(str, [*keys, last]))


def _key(here: Any, dotted: str, depth: int) -> str | int:
    """The part of the dotted key at that depth, as the key or the index that fits the place."""
    parts = dotted.split(".")
    part, place = parts[depth], ".".join(parts[:depth])
    if isinstance(here, dict):
        return part
    if not isinstance(here, list):
        raise InputError(f"--set {dotted}: {place} = {as_toml(here)} is not a table.")
    if part.isdecimal() and int(part) < len(here):  # from 0, as TOML libraries count
        return int(part)
    names = entry_names(here)
    if part not in names:
        near = did_you_mean(part, names)
        raise InputError(f'--set {dotted}: {place} has no "{part}".{near} It has {_list(names)}.')
    return names.index(part)


def _list(names: list[str]) -> str:
    return ", ".join(names) or "no entries"


def _component_problems(
    kind: str, location: tuple[Any, ...], table: Any, registry: Registry
) -> list[Problem]:
    if isinstance(table, str):
        table, named_at = {"name": table}, location
    else:
        named_at = (*location, "name")
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        return []  # the model has said so
    params = {key: value for key, value in table.items() if key != "name"}
    try:
        registered = registry.get(kind, table["name"])
    except InputError as error:
        return [Problem(named_at, str(error).rstrip("."), table["name"])]
    try:
        registered.bind(params)
    except ValidationError as error:
        return explain(error, registered.component.params, params, location)
    except InputError as error:
        return [Problem(location, str(error).rstrip("."))]
    return []


def _faults_here(experiment: Experiment, registry: Registry) -> Iterator[Problem]:
    """What components find wrong before anything is imported: a missing file, a size too small."""
    data = experiment.model_dump(mode="json", exclude_none=True)
    for kind, location, table in component_tables(data):
        bound = bind(Choice(**table), kind, registry)
        for key, fault in bound.faults(image_size=experiment.training.image_size).items():
            yield Problem((*location, key), fault, table.get(key, getattr(bound.params, key, None)))


def _stage_name_problems(data: dict[str, Any]) -> list[Problem]:
    stages = data.get("stages")
    names = [
        stage.get("name") if isinstance(stage, dict) else None
        for stage in (stages if isinstance(stages, list) else [])
    ]
    return [
        Problem(("stages", index, "name"), "another stage has this name already", name)
        for index, name in enumerate(names)
        if name is not None and name in names[:index]
    ]


def _optimizer_problems(data: dict[str, Any]) -> Iterator[Problem]:
    """Arguments that an optimizer does not take: Keras, which knows them, is not yet imported."""
    stages = data.get("stages")
    for index, stage in enumerate(stages if isinstance(stages, list) else []):
        table = stage.get("optimizer") if isinstance(stage, dict) else None
        name = table.get("name", "adam") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(name, str) or name not in OPTIMIZERS:
            continue
        place = ("stages", index, "optimizer")
        for key, value in table.items():
            if key != "name":
                yield from _argument_problems((*place, key), name, value)
        clips = [key for key in ("clipnorm", "clipvalue") if key in table]
        clips += ["the stage's clip_norm"] if "clip_norm" in stage else []
        if len(clips) > 1:
            yield Problem(place, f"{' and '.join(clips)} exclude each other; keep one of them")


def _argument_problems(place: tuple[Any, ...], name: str, value: Any) -> Iterator[Problem]:
    key, known = place[-1], (*OPTIMIZERS[name], *OF_ALL_OPTIMIZERS)
    if key not in known:
        hint = f"{did_you_mean(key, known)} Known keys: name, {', '.join(known)}."
        yield Problem(place, "there is no such key", value, hint)
    elif key != "exclude_layers" and not isinstance(value, int | float):
        yield Problem(place, "expected a number, or true or false", value)
    elif key in SHARES and not 0 <= value <= 1:
        yield Problem(place, "expected a number from 0 to 1", value)


def resolve(experiment: Experiment, registry: Registry) -> dict[str, Any]:
    """The experiment with every default written out, components' own included; no None."""
    data = experiment.model_dump(mode="json", exclude_none=True)
    for kind, location, table in list(component_tables(data)):
        place: Any = data
        for part in location:
            place = place[part]
        bound = bind(Choice(**table), kind, registry)
        place.update(bound.params.model_dump(mode="json", by_alias=True, exclude_none=True))
    return data


def flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables and lists of tables to dotted keys, which `load_experiment` takes."""
    if isinstance(data, list | tuple) and any(isinstance(entry, dict) for entry in data):
        data = dict(zip(entry_names(data), data, strict=True))
    if not isinstance(data, dict):
        return {prefix: data}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat
