"""Faults of an experiment, and the message that lists them with their lines."""

import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kerascnn.experiment.tables import Location, entry_names
from kerascnn.runtime.toml import as_key, excerpt

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
    while location and not _holds(_parsed(text), location):
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
        or (f"{key}.".startswith(here) and not _holds(_parsed(text), problem.location))
        for key in overrides
    )


def _appeared(location: Location, lines: list[str], number: int) -> bool:
    """Whether the key is defined within the first `number` lines, their last statement included."""
    for end in range(number, len(lines) + 1):
        data = _parsed("\n".join(lines[:end]))
        if data is not None:
            return _holds(data, location)
    return True


def _parsed(text: str) -> Any:
    for closing in ("", "\n]"):  # a line may end within an array
        with suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(text + closing)
    return None


def _holds(data: Any, location: Location) -> bool:
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
