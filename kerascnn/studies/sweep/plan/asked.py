"""What a sweep is asked to try, before it is bound to an experiment: tables by dotted key."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError, model_validator

from kerascnn.errors import InputError
from kerascnn.experiment.problems import explain, line_of
from kerascnn.experiment.strict import Strict
from kerascnn.experiment.tables import Location
from kerascnn.runtime.toml import excerpt
from kerascnn.studies.sweep.plan.values import Choices, Range

DECADE = 10  # a range that is as wide is logarithmic
_FORMS = "expected { from = LOW, to = HIGH } or { one_of = [VALUE, …] }"
_TEXT = "expected KEY=LOW..HIGH or KEY=VALUE,VALUE"


class Tried(Strict):
    """The values of a key: a range from `from` to `to`, or `one_of` several."""

    low: int | float | None = Field(None, alias="from", description="the least value")
    high: int | float | None = Field(None, alias="to", description="the greatest value")
    log: bool | None = Field(
        None,
        description="whether values are drawn evenly on a logarithmic scale; default over a "
        "decade or more, unless there is a step",
    )
    step: int | float | None = Field(
        None, gt=0, description="distance of the values; default any number, or whole ones"
    )
    one_of: tuple[Any, ...] | None = Field(None, min_length=1, description="the values")

    @model_validator(mode="after")
    def _one_form(self) -> "Tried":
        ranged = [self.low, self.high, self.log, self.step]
        if self.one_of is not None:
            if any(value is not None for value in ranged):
                raise ValueError(f"{_FORMS}, not both")
            return self
        if self.low is None or self.high is None:
            raise ValueError(_FORMS)
        if not self.low < self.high:
            raise ValueError("the range is empty: expected its low end below its high end")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range begins above 0")
        if self.log and self.step:
            raise ValueError("a logarithmic range has no step; remove one of them")
        return self

    def values(self) -> Range | Choices:
        if self.one_of is not None:
            return Choices(self.one_of)
        assert self.low is not None
        assert self.high is not None
        wide = 0 < self.low * DECADE <= self.high and self.step is None
        return Range(self.low, self.high, wide if self.log is None else self.log, self.step)


@dataclass(frozen=True)
class Asked:
    """One key and its table; `place` begins the messages about it."""

    key: str
    table: Any
    place: str

    def values(self) -> Range | Choices:
        """Raises InputError where the table is at fault."""
        try:
            return Tried.model_validate(self.table).values()
        except ValidationError as error:
            problems = explain(error, Tried, self.table, tuple(self.key.split(".")))
            raise self.fault("\n".join(map(str, problems))) from None

    def fault(self, message: str) -> InputError:
        return InputError("\n".join(f"{self.place}{line}" for line in message.split("\n")))


def of_file(space: Any, text: str, origin: str) -> list[Asked]:
    """The keys of `[space]`, written in quotes or as dotted keys of TOML."""
    if not isinstance(space, dict) or not space:
        place = f"{origin}, line {line_of(('space',), text)}: "
        raise InputError(f"{place}space: expected a table of dotted keys, each with its values.")
    return [
        Asked(".".join(location[1:]), table, f"{origin}, line {line_of(location, text)}: ")
        for location, table in _leaves(space, ("space",))
    ]


def _leaves(tables: Mapping[str, Any], location: Location) -> Iterator[tuple[Location, Any]]:
    forms = {"from", "to", "log", "step", "one_of"}
    for key, table in tables.items():
        here = (*location, key)
        inner = isinstance(table, dict) and table and forms.isdisjoint(table)
        if inner and all(isinstance(value, dict) for value in table.values()):
            yield from _leaves(table, here)
        else:
            yield here, table


def of_table(space: Mapping[str, Any]) -> list[Asked]:
    """The keys that a script gives; a list is short for `{"one_of": …}`."""
    return [
        Asked(key, {"one_of": table} if isinstance(table, list | tuple) else table, "space: ")
        for key, table in space.items()
    ]


def of_options(tries: tuple[str, ...]) -> list[Asked]:
    """The keys of `--try KEY=LOW..HIGH` and `--try KEY=a,b,c`."""
    return [Asked(*_parsed(text), "--try ") for text in tries]


def _parsed(text: str) -> tuple[str, dict[str, Any]]:
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not key or not values:
        raise InputError(f"--try {text}: {_TEXT}, such as stages.0.learning_rate=1e-4..1e-2.")
    if ".." in values and not re.search("[\"'\\[{]", values):
        low, _, high = values.partition("..")
        return key, {"from": _number(text, low), "to": _number(text, high)}
    return key, {"one_of": _listed(values)}


def _number(text: str, value: str) -> float | int:
    with suppress(ValueError):
        return int(value)
    with suppress(ValueError):
        return float(value)
    raise InputError(f"--try {text}: {excerpt(value)} is not a number; {_TEXT}.")


def _listed(values: str) -> list[Any]:
    with suppress(tomllib.TOMLDecodeError):
        return tomllib.loads(f"values = [{values}]")["values"]
    return [_value(one.strip()) for one in values.split(",")]


def _value(text: str) -> Any:
    with suppress(tomllib.TOMLDecodeError):
        return tomllib.loads(f"value = {text}")["value"]
    return text
