"""Relative paths in an experiment: relative to the file's folder, or to the working directory.

A component's parameter is a path if its type is `Path`, or a list of paths, unless its field has
`json_schema_extra={"relative_to": …}`. A string that may also be a name, such as `weights`, is a
path if it contains a "/" or a "." and names an existing file or folder.
"""

import os
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from kerascnn.components.registry import Registry
from kerascnn.experiment.choices import CHOICES
from kerascnn.experiment.tables import component_tables


def read_from(
    folder: Path, data: dict[str, Any], registry: Registry, warn: Callable[[str], None]
) -> None:
    """Makes the relative paths of a TOML file in `folder` relative to the working directory.

    `data` is changed in place. `warn` receives a sentence for each path that exists only relative
    to the working directory, which is kept.
    """
    for holder, key, place, is_path in _paths(data, registry):
        written = holder[key]
        beside = _relative(os.path.join(folder, written), Path.cwd())
        if not os.path.exists(beside) and os.path.exists(written):
            warn(
                f'{place} = "{written}" is not in {os.path.abspath(folder)}; using the one '
                "in the working directory. Write the path relative to the TOML file."
            )
        elif is_path or os.path.exists(beside):
            holder[key] = beside


def written_to(folder: Path, data: dict[str, Any], registry: Registry) -> None:
    """Makes paths relative to the working directory relative to `folder`, in place."""
    for holder, key, _, is_path in _paths(data, registry):
        if is_path or os.path.exists(holder[key]):
            holder[key] = _relative(holder[key], folder)


def _paths(data: dict[str, Any], registry: Registry) -> Iterator[tuple[Any, Any, str, bool]]:
    """Each relative path: the table or list that holds it, its key there, its dotted key, and
    whether it must be a path.

    Tables that name no known component are skipped; they are reported later.
    """
    yield from _paths_of_update(data)
    for kind, location, table in component_tables(data):
        name = table.get("name") if isinstance(table, dict) else None
        claims = registry.claims.get((kind, name), []) if isinstance(name, str) else []
        place = ".".join(map(str, location))
        models = (CHOICES[kind], claims[0].component.params) if len(claims) == 1 else ()
        for key, field in chain.from_iterable(map(_fields, models)):
            value, is_path = table.get(key), _holds_path(field.annotation)
            listed = isinstance(value, list)
            for holder, one in (
                ((value, i) for i in range(len(value))) if listed else [(table, key)]
            ):
                written = holder[one] if listed else value
                if _is_relative(written) and (is_path or re.search(r"[/\\.]", written)):
                    yield holder, one, f"{place}.{key}", is_path


def _paths_of_update(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str, bool]]:
    update = data.get("update")
    folders = update.get("data") if isinstance(update, dict) else None
    for index, written in enumerate(folders if isinstance(folders, list) else ()):
        if _is_relative(written):
            yield folders, index, "update.data", True


def _fields(params: Any) -> Iterator[tuple[str, FieldInfo]]:
    """The fields that may hold such a path, by their names and aliases."""
    for name, field in params.model_fields.items():
        extra = field.json_schema_extra
        if not (isinstance(extra, dict) and "relative_to" in extra):
            yield from ((key, field) for key in {name, field.alias or name})


def _holds_path(annotation: Any) -> bool:
    return annotation is Path or any(map(_holds_path, get_args(annotation)))


def _is_relative(value: Any) -> bool:
    return isinstance(value, str) and not os.path.isabs(value) and not value.startswith("~")


def _relative(path: str, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another drive, or not a valid path, which is reported later
        return path
