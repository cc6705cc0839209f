"""The tables of an experiment as plain data: those that name a component, and dotted keys."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kerascnn.components.kinds import KINDS
from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.toml import excerpt

Location = tuple[Any, ...]


def component_tables(data: dict[str, Any]) -> Iterator[tuple[str, Location, Any]]:
    """Every table that names a component: its kind, its location, itself."""
    for kind in KINDS.values():
        if kind.of_experiment and kind.name in data:
            yield kind.name, (kind.name,), data[kind.name]
        if kind.listed:
            for index, table in enumerate(_array(data, kind.plural)):
                yield kind.name, (kind.plural, index), table
    for index, stage in enumerate(stage_tables(data)):
        for kind in KINDS.values():
            if kind.of_stage and not isinstance(stage.get(kind.name, False), bool):
                yield kind.name, ("stages", index, kind.name), stage[kind.name]


def stage_tables(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The stages, whatever the file holds; an empty table for one that is not a table."""
    return [stage if isinstance(stage, dict) else {} for stage in _array(data, "stages")]


def _array(data: dict[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    return found if isinstance(found, list) else []


def table_at(data: Any, location: Location) -> Any:
    for part in location:
        data = data[part]
    return data


def entry_names(entries: Sequence[Any]) -> list[str]:
    """What `--set` calls the entries of an array of tables: their names, or numbers from 0."""
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    return [
        name
        if isinstance(name, str) and re.fullmatch(r"[\w-]+", name) and name not in names[:index]
        else str(index)
        for index, name in enumerate(names)
    ]


def flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables and arrays of tables as dotted keys, which `load_experiment` accepts."""
    if isinstance(data, list | tuple) and any(isinstance(entry, dict) for entry in data):
        data = dict(zip(entry_names(data), data, strict=True))
    if not isinstance(data, dict):
        return {prefix: data}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat


def override(data: dict[str, Any], dotted: str, value: Any) -> str:
    """Sets a dotted key; returns it with indices in place of the stages' names."""
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
    """One part of the dotted key, as a key of a table or an index of an array."""
    parts = dotted.split(".")
    part, place = parts[depth], ".".join(parts[:depth])
    if isinstance(here, dict):
        return part
    if not isinstance(here, list):
        raise InputError(f"{dotted}: {place} = {excerpt(here)} is not a table.")
    if part.isdecimal() and int(part) < len(here):  # counted from 0
        return int(part)
    names = entry_names(here)
    if part not in names:
        near = did_you_mean(part, names)
        listed = ", ".join(names) or "no entries"
        raise InputError(f'{dotted}: {place} has no "{part}".{near} It has {listed}.')
    return names.index(part)
