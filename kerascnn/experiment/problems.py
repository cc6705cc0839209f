"""Faults of an experiment, also in words for those of pydantic, and the list with their lines."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from kerascnn.components.component import BoundComponent, RegisteredComponent
from kerascnn.components.kinds import KINDS
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.tables import Location, entry_names
from kerascnn.runtime.toml import as_key, excerpt

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
_ABSENT = object()


@dataclass(frozen=True)
class Problem:
    """A fault at a location in the experiment; `message` has no full stop."""

    location: Location
    message: str
    received: Any = _ABSENT
    hint: str = ""

    def __str__(self) -> str:
        return self.described(None)

    def described(self, data: Any) -> str:
        """The fault on one line, with stages by name."""
        key = dotted(_with_names(self.location, data)) or "the experiment"
        received = "" if self.received is _ABSENT else f" = {excerpt(self.received)}"
        return f"{key}{received}: {self.message}.{self.hint}"


def _with_names(location: Location, data: Any) -> Location:
    named: list[Any] = []
    for part in location:
        tables = isinstance(data, list) and any(isinstance(entry, dict) for entry in data)
        named.append(entry_names(data)[part] if tables and part < len(data) else part)
        try:
            data = data[part]
        except (LookupError, TypeError):
            data = None
    return tuple(named)


def report(
    problems: Iterable[Problem],
    data: Any,
    text: str | None,
    origin: str,
    overrides: Mapping[str, Any],
) -> str:
    """One line per problem, in the order of the file; those of `--set` come first."""
    if text is None:
        return "\n".join(problem.described(data) for problem in problems)
    placed = []
    for problem in problems:
        line = 0 if _overridden(problem, text, overrides) else line_of(problem.location, text)
        place = f"{origin}, line {line}: " if line else "--set "
        placed.append((line, f"{place}{problem.described(data)}"))
    return "\n".join(message for _, message in sorted(placed, key=lambda pair: pair[0]))


def line_of(location: Location, text: str) -> int:
    """The line, from 1, of the key, or of the nearest table that would hold it."""
    while location and not holds(_parsed(text), location):
        location = location[:-1]
    lines = text.split("\n")
    numbers = range(1, len(lines))
    return 1 + bisect_left(numbers, True, key=lambda number: _appeared(location, lines, number))


def dotted(location: Location) -> str:
    """A location as a dotted key of TOML."""
    return ".".join(as_key(str(part)) for part in location)


def _overridden(problem: Problem, text: str, overrides: Mapping[str, Any]) -> bool:
    """Whether the fault is in a value set by `--set`, or in a table that it created."""
    here = "".join(f"{part}." for part in problem.location)
    return any(
        here.startswith(f"{key}.")
        or (f"{key}.".startswith(here) and not holds(_parsed(text), problem.location))
        for key in overrides
    )


def _appeared(location: Location, lines: list[str], number: int) -> bool:
    """Whether the key is defined within the first `number` lines, their last statement included."""
    for end in range(number, len(lines) + 1):
        data = _parsed("\n".join(lines[:end]))
        if data is not None:
            return holds(data, location)
    return True


def _parsed(text: str) -> Any:
    for closing in ("", "\n]"):  # a line may end within an array
        with suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(text + closing)
    return None


def holds(data: Any, location: Location) -> bool:
    return len(existing(data, location)) == len(location)


def existing(data: Any, location: Location) -> Location:
    """The parts of a location that are keys and indices of the data, without the rest."""
    found = []
    for part in location:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            found.append(part)
            data = data[part]
    return tuple(found)


def explain(
    error: ValidationError,
    model: type[BaseModel],
    table: Any,
    prefix: Location = (),
    others: Sequence[str] = (),
) -> list[Problem]:
    """Pydantic's errors about a table in TOML's terms, one per key.

    `others` are keys of the same table that the model does not have.
    """
    problems: dict[Location, Problem] = {}
    for detail in error.errors(include_url=False):
        location = _within(table, detail)
        known = _known_keys(model, location) + (list(others) if len(location) == 1 else [])
        problem = _problem(detail, (*prefix, *location), known)
        if location in problems:  # another branch of a union
            problem = _either(problems[location], problem)
        problems[location] = problem
    return [
        problem
        for location, problem in problems.items()
        if not any(
            len(other) > len(location) and other[: len(location)] == location for other in problems
        )
    ]


def bind_alone(registered: RegisteredComponent, params: Mapping[str, Any]) -> BoundComponent:
    """Binds a component outside an experiment.

    Raises:
        InputError: One line per fault of its parameters.
    """
    try:
        return registered.bind(dict(params))
    except ValidationError as error:
        model, table = registered.component.params, dict(params)
        option = KINDS[registered.kind].option
        problems = explain(error, model, table, (registered.kind,))
        said = "\n".join(map(str, problems))
        if missing := [str(one["loc"][-1]) for one in error.errors() if one["type"] == "missing"]:
            said += f" Give it with {' '.join(f'{option} {key}=VALUE' for key in missing)}."
        raise InputError(said) from error


def check_alone(bound: BoundComponent, image_size: int) -> None:
    """Raises InputError with one line per fault that the component's own check finds."""
    if faults := bound.faults(image_size=image_size):
        problems = (Problem((bound.kind, key), fault) for key, fault in faults.items())
        raise InputError("\n".join(map(str, problems)))


def _within(table: Any, detail: Any) -> Location:
    """The location of an error without the union branches that pydantic puts between keys."""
    location = existing(table, detail["loc"])
    return (*location, detail["loc"][-1]) if detail["type"] == "missing" else location


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
    fields = getattr(model, "model_fields", {})
    return [field.alias or name for name, field in fields.items()]


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
