"""Pydantic's errors in TOML's terms: what was expected, and what was received."""

import re
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from kerascnn.errors import did_you_mean
from kerascnn.experiment.problems import Problem, existing
from kerascnn.experiment.tables import Location

_EXPECTED = {  # by pydantic's type of error, with its context
    "bool_type": "true or false",
    "dict_type": "a table",
    "enum": "{expected}",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "int_type": "an integer",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number of at most {le}",
    "list_type": "an array",
    "literal_error": "{expected}",
    "model_type": "a table",
    "multiple_of": "a multiple of {multiple_of}",
    "path_type": "a path",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "string_too_long": "{max_length} or fewer characters",
    "string_too_short": "{min_length} or more characters",
    "string_type": "a string",
    "too_long": "{max_length} or fewer entries",
    "too_short": "{min_length} or more entries",
    "tuple_type": "an array",
}


def explain(
    error: ValidationError, model: type[BaseModel], table: Any, prefix: Location = ()
) -> list[Problem]:
    """Pydantic's errors about a table in TOML's terms, one per key."""
    problems: dict[Location, Problem] = {}
    for detail in error.errors(include_url=False):
        location = _within(table, detail)
        problem = _problem(detail, (*prefix, *location), _known_keys(model, location))
        if location in problems:  # another branch of a union
            problem = _either(problems[location], problem)
        problems[location] = problem
    return [
        problem
        for location, problem in problems.items()
        if not any(_is_within(other, location) for other in problems)
    ]


def _within(table: Any, detail: Any) -> Location:
    """The location of an error without the union branches that pydantic puts between keys."""
    location = existing(table, detail["loc"])
    return (*location, detail["loc"][-1]) if detail["type"] == "missing" else location


def _is_within(inner: Location, outer: Location) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _either(first: Problem, second: Problem) -> Problem:
    if not second.message.startswith("expected "):
        return first
    other = second.message.removeprefix("expected ")
    return replace(first, message=f"{first.message} or {other}", hint=first.hint or second.hint)


def _known_keys(model: Any, location: Location) -> list[str]:
    """The fields of the table that holds the last part of the location."""
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = next(_models_in(field.annotation), None) if field else model
    return list(getattr(model, "model_fields", {}))


def _models_in(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)


def _problem(detail: Any, location: Location, known: list[str]) -> Problem:
    kind, received, name = detail["type"], detail["input"], str(location[-1]) if location else ""
    if kind == "missing":
        strange = get_close_matches(name, [key for key in received if key not in known], cutoff=0.5)
        instead = f'; "{strange[0]}" was found instead' if strange else ""
        return Problem(location, f"required, but missing{instead}")
    if kind == "extra_forbidden":
        keys = f" Known keys: {', '.join(known)}." if known else " It takes no keys."
        return Problem(location, "unknown key", received, did_you_mean(name, known) + keys)
    if kind in ("list_type", "tuple_type") and isinstance(received, dict):
        return Problem(location, f"expected an array of tables, each beginning with [[{name}]]")
    if kind in _EXPECTED:
        expected = _EXPECTED[kind].format(**detail.get("ctx", {})).replace("'", '"')
        hint = did_you_mean(str(received), re.findall('"([^"]+)"', expected))
        return Problem(location, f"expected {expected}", received, hint)
    message = re.sub("^(Value error|Assertion failed), ", "", detail["msg"])
    return Problem(location, message.replace("Input should be", "expected").rstrip("."), received)
