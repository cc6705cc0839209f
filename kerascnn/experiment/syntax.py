"""What is wrong with the text of a TOML file, and the remedy where it is known."""

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from kerascnn.experiment.problems import Problem, dotted, holds, line_of
from kerascnn.experiment.tables import Location

_HERE = "__here"
_CONTROL = re.compile("[\b\t\n\f\r]")
PATHS = (
    "in double quotes a backslash begins an escape sequence. Write Windows paths in single "
    r"quotes, '{}', or with forward slashes"
)


def explain_syntax(error: tomllib.TOMLDecodeError, text: str, origin: str) -> str:
    """One message for a file that is not valid TOML."""
    message, _, place = str(error).rstrip(")").partition(" (at ")
    found = re.match(r"line (\d+)", place)
    number = int(found[1]) if found else text.count("\n") + 1
    lines = text.split("\n")
    line = lines[number - 1]
    if twice := _set_twice(lines, number):
        return f"{origin}, line {number}: {twice}"
    if quoted := re.search(r'"([^"]*\\[^"]*)"', line):
        message += f"; {PATHS.format(quoted[1].replace(2 * chr(92), chr(92)))}"
    return f"{origin}, {place}: not valid TOML: {message}."


def _set_twice(lines: list[str], number: int) -> str:
    """The message if the line repeats a key or table of an earlier line; else empty."""
    before, line = "\n".join(lines[: number - 1]), lines[number - 1]
    with suppress(tomllib.TOMLDecodeError):
        table = _place(tomllib.loads(f"{before}\n{_HERE} = 0"))
        header = re.fullmatch(r"\s*\[([^\[\]]+)\]\s*(#.*)?", line)
        key, _, _ = (header[1] if header else line).partition("=")
        own = _place(tomllib.loads(f"{key} = {{ {_HERE} = 0 }}"))
        location = own if header else (*table, *own)
        first = line_of(location, before)
        if first < number and holds(tomllib.loads(before), location):
            return f"{dotted(location)} is set twice, on lines {first} and {number}; remove one."
    return ""


def _place(data: Any, location: Location = ()) -> Location:
    """Where the marker is in parsed data."""
    if isinstance(data, list):
        return _place(data[-1], (*location, len(data) - 1))
    if _HERE in data:
        return location
    last = next(reversed(data))  # the table that was opened last
    return _place(data[last], (*location, last))


def escaped_paths(data: Any, text: str, location: Location = ()) -> Iterator[Problem]:
    """Strings whose escapes were probably meant as a path, such as the tab of "data\\train"."""
    if isinstance(data, dict | list):
        parts = data.items() if isinstance(data, dict) else enumerate(data)
        for part, value in parts:
            yield from escaped_paths(value, text, (*location, part))
    elif isinstance(data, str) and len(data) > 1 and _CONTROL.search(data):
        written = json.dumps(data, ensure_ascii=False)[1:-1]  # TOML's short escapes are JSON's
        if written in text:
            yield Problem(location, PATHS.format(written), data)
