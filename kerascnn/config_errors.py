"""What is wrong with an experiment, said so that it can be mended: where, expected, received."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from kerascnn.errors import did_you_mean

Location = tuple[Any, ...]
_ABSENT = object()


@dataclass(frozen=True)
class Problem:
    """A fault at a place in the experiment."""

    location: Location
    message: str
    received: Any = _ABSENT

    def __str__(self) -> str:
        key = ".".join(str(part) for part in self.location) or "the file"
        received = "" if self.received is _ABSENT else f" = {_toml(self.received)}"
        return f"{key}{received}: {self.message}"


def explain(error: ValidationError, model: type[BaseModel], prefix: Location = ()) -> list[Problem]:
    """Pydantic's errors in the words of the TOML."""
    problems: dict[Location, Problem] = {}
    for detail in error.errors(include_url=False):
        location = (*prefix, *_without_union_tags(detail["loc"]))
        problems.setdefault(location, _problem(detail, location, _fields_at(model, detail["loc"])))
    return list(problems.values())


def report(
    problems: Iterable[Problem], text: str, origin: str, overrides: Mapping[str, Any]
) -> str:
    """Every problem on a line of its own, in the order of the file."""
    placed = []
    for problem in problems:
        dotted = ".".join(map(str, problem.location))
        if any(dotted == key or dotted.startswith(f"{key}.") for key in overrides):
            placed.append((0, f"--set {problem}"))
        else:
            line = line_of(problem.location, text)
            placed.append((line, f"{origin}, line {line}: {problem}" if text else str(problem)))
    return "\n".join(message for _, message in sorted(placed, key=lambda pair: pair[0]))


def line_of(location: Location, text: str) -> int:
    """The line, from 1, on which the key stands, or the nearest table that would hold it."""
    lines = _lines_of_keys(text)
    for length in range(len(location), 0, -1):
        if location[:length] in lines:
            return lines[location[:length]]
    return 1


def _lines_of_keys(text: str) -> dict[Location, int]:
    """Maps each key and table header to its line; strings over several lines are not followed."""
    lines: dict[Location, int] = {}
    table: Location = ()
    counts: dict[Location, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[\s*([^\]]+?)\s*\]\]", line):
            name = _parts(header[1])
            counts[name] = counts.get(name, -1) + 1
            table = (*name, counts[name])
        elif header := re.match(r"\s*\[\s*([^\]]+?)\s*\]\s*(#.*)?$", line):
            name = _parts(header[1])
            table = (name[0], counts[name[:1]], *name[1:]) if name[:1] in counts else name
        elif key := re.match(r"""\s*([\w."'-]+)\s*=""", line):
            lines.setdefault((*table, *_parts(key[1])), number)
            continue
        else:
            continue
        lines.setdefault(table, number)
        lines.setdefault(name, number)
    return lines


def _parts(dotted: str) -> Location:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _without_union_tags(location: Location) -> Location:
    return tuple(
        part for part in location if isinstance(part, int) or re.fullmatch(r"[\w-]+", part)
    )


def _fields_at(model: Any, location: Location) -> list[str]:
    """The names of the fields of the table that holds the last part of the location."""
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = _model_in(field.annotation) if field else model
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        (found for part in getattr(annotation, "__args__", ()) if (found := _model_in(part))), None
    )


def _problem(detail: Any, location: Location, fields: list[str]) -> Problem:
    kind, received = detail["type"], detail["input"]
    if kind == "missing":
        return Problem(location, "is required, and is missing.")
    if kind == "extra_forbidden":
        known = f" Known keys: {', '.join(fields)}." if fields else " It takes no keys."
        hint = did_you_mean(str(location[-1]), fields)
        return Problem(location, f"there is no such key.{hint}{known}", received)
    if kind == "literal_error":
        hint = did_you_mean(str(received), re.findall(r"'([^']+)'", detail["ctx"]["expected"]))
        return Problem(location, f"expected {detail['ctx']['expected']}.{hint}", received)
    message = detail["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "expected").replace(
        "a valid dictionary", "a table"
    )
    return Problem(location, message.rstrip(".") + ".", received)


def _toml(value: Any) -> str:
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    text = text or (f'"{value}"' if isinstance(value, str) else repr(value))
    return text if len(text) <= 60 else text[:57] + "…"
