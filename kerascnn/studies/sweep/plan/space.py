"""The space of a sweep: its keys bound to an experiment, with conditions, all checked."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kerascnn.components.component import RegisteredComponent
from kerascnn.components.kinds import KINDS
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.model import incidental
from kerascnn.experiment.optimizers import OF_ALL_OPTIMIZERS, OPTIMIZERS
from kerascnn.experiment.problems import dotted
from kerascnn.experiment.tables import entry_names, override
from kerascnn.studies.sweep.plan.asked import Asked
from kerascnn.studies.sweep.plan.values import Choices, Range

if TYPE_CHECKING:
    from optuna import Trial

Values = Range | Choices

_FIXED = {
    "dataset": "every trial must be judged on the same validation images",
    "metrics": "every trial must be judged by the same metrics",
    "seed": "`seeds` runs each setting with several",
    "name": "it does not affect the result",
}


@dataclass(frozen=True)
class Dimension:
    """A key, its values and, where only some components have it, the key and names of these."""

    key: str
    table: dict[str, Any]  # as a file has the values
    values: Values
    place: str = field(compare=False)
    of: str = ""
    names: tuple[str, ...] = ()

    def applies(self, params: Mapping[str, Any]) -> bool:
        return not self.of or params.get(self.of) in self.names


@dataclass(frozen=True)
class Space:
    """All keys, those that others depend on first."""

    experiment: BoundExperiment
    dimensions: tuple[Dimension, ...]

    def bound(self, params: Mapping[str, Any]) -> BoundExperiment:
        """The experiment with these values by key.

        A component of another name than the experiment's starts from its own defaults.
        """
        changes: dict[str, Any] = {}
        for key, value in params.items():
            table = _component_of(key)
            if table and self._name_at(table) != value:
                changes[table] = {"name": value}
            elif not table:
                changes[key] = value
        return self.experiment.with_overrides(changes)

    def _name_at(self, table: str) -> str | None:
        here: Any = self.experiment.resolved
        for part in table.split("."):
            here = here[entry_names(here).index(part)] if isinstance(here, list) else here.get(part)
            if here is None:
                return None
        return here["name"]

    def drawn(self, shares: Sequence[float]) -> dict[str, Any]:
        """The values at these shares of the keys' ranges, one for each key."""
        params: dict[str, Any] = {}
        for dimension, share in zip(self.dimensions, shares, strict=True):
            if dimension.applies(params):
                params[dimension.key] = dimension.values.at(share)
        return params

    def grid(self) -> list[dict[str, Any]]:
        """Every setting; all keys must be listed."""
        settings: list[dict[str, Any]] = [{}]
        for dimension in self.dimensions:
            values = dimension.values.listed or []
            settings = list(
                itertools.chain.from_iterable(
                    [{**params, dimension.key: value} for value in values]
                    if dimension.applies(params)
                    else [params]
                    for params in settings
                )
            )
        return settings

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """What a trial of Optuna tries."""
        params: dict[str, Any] = {}
        for dimension in self.dimensions:
            if dimension.applies(params):
                params[dimension.key] = dimension.values.suggest(trial, dimension.key)
        return params

    def stored(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Values as Optuna stores them."""
        values = {dimension.key: dimension.values for dimension in self.dimensions}
        return {key: values[key].stored(value) for key, value in params.items()}

    def given(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Values that Optuna has stored, in the order of the keys."""
        return {
            dimension.key: dimension.values.given(stored[dimension.key])
            for dimension in self.dimensions
            if dimension.key in stored
        }


def bind_space(experiment: BoundExperiment, asked: Sequence[Asked]) -> Space:
    """Binds the keys of a sweep to an experiment, and checks every end of every range.

    Raises:
        InputError: One line per fault.
    """
    dimensions: dict[str, Dimension] = {}
    faults: list[str] = []
    for one in asked:
        try:
            dimension = _dimension(experiment, one)
            _refuse_again(dimension, one, dimensions)
            dimensions[dimension.key] = dimension
        except InputError as error:
            faults.append(str(error))
    space = Space(experiment, ())
    if not faults:
        ordered = sorted(dimensions.values(), key=lambda one: not _component_of(one.key))
        for dimension in ordered:
            try:
                dimension = _whole(space, _conditional(experiment, dimension, dimensions))
                _check_ends(space, dimension)
                space = Space(experiment, (*space.dimensions, dimension))
            except InputError as error:
                faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    return space


def _dimension(experiment: BoundExperiment, asked: Asked) -> Dimension:
    """The key with the stages' names, and its values."""
    values = asked.values()
    key = _canonical(experiment, asked)
    first = key.partition(".")[0]
    if first in _FIXED:
        raise asked.fault(f"{asked.key}: {_FIXED[first]}.")
    if incidental(key):
        raise asked.fault(f"{asked.key}: it does not affect the result.")
    names = isinstance(values, Choices) and all(isinstance(one, str) for one in values.values)
    if names and key.rpartition(".")[2] in _COMPONENTS:
        key = f"{key}.name"
    return Dimension(key, asked.table, values, asked.place)


def _canonical(experiment: BoundExperiment, asked: Asked) -> str:
    data = experiment.resolved
    try:
        location = override(data, asked.key, None).split(".")
    except InputError as error:
        raise asked.fault(str(error)) from None
    named: list[Any] = []
    here: Any = data
    for part in location:
        listed = isinstance(here, list)
        named.append(entry_names(here)[int(part)] if listed else part)
        here = here[int(part)] if listed else here[part]
    return dotted(tuple(named))


_COMPONENTS = {kind.name for kind in KINDS.values()} | {"optimizer"}


def _component_of(key: str) -> str:
    """The table of which a key is the component's name; "" if it is another key."""
    table, _, last = key.rpartition(".")
    return table if last == "name" and table.rpartition(".")[2] in _COMPONENTS else ""


def _refuse_again(dimension: Dimension, asked: Asked, others: Mapping[str, Dimension]) -> None:
    for other in others:
        longer, shorter = sorted((f"{dimension.key}.", f"{other}."), key=len, reverse=True)
        if longer.startswith(shorter):
            raise asked.fault(f"{asked.key}: the sweep already tries {other}.")


def _conditional(
    experiment: BoundExperiment, dimension: Dimension, others: Mapping[str, Dimension]
) -> Dimension:
    """The key with the components that have it, if the sweep tries several there."""
    table, _, param = dimension.key.rpartition(".")
    chosen = others.get(f"{table}.name")
    if chosen is None or chosen is dimension or not isinstance(chosen.values, Choices):
        return dimension
    kind = table.rpartition(".")[2]
    known = {name: _params(experiment, kind, name) for name in chosen.values.values}
    having = tuple(name for name, params in known.items() if param in params)
    if not having:
        every = sorted(set().union(*known.values()))
        raise InputError(
            f"{dimension.place}{dimension.key}: none of {', '.join(known)} has this key."
            f"{did_you_mean(param, every)}"
        )
    if len(having) == len(known):
        return dimension
    return replace(dimension, of=chosen.key, names=having)


def _params(experiment: BoundExperiment, kind: str, name: str) -> set[str]:
    if kind == "optimizer":
        return {*OPTIMIZERS.get(name, ()), *OF_ALL_OPTIMIZERS}
    registered: RegisteredComponent = experiment.registry.get(kind, name)
    fields = registered.component.params.model_fields
    return {field.alias or name for name, field in fields.items()}


def _whole(space: Space, dimension: Dimension) -> Dimension:
    """The range as one of whole numbers, if the experiment accepts only these."""
    values = dimension.values
    if not isinstance(values, Range) or not all(isinstance(end, int) for end in values.ends):
        return dimension
    before = next(_settings(space, dimension))
    try:
        space.bound({**before, dimension.key: values.low})
    except InputError:
        return dimension  # reported later
    try:
        space.bound({**before, dimension.key: values.low + 0.5})
    except InputError:
        if values.step and not isinstance(values.step, int):
            raise InputError(
                f"{dimension.place}{dimension.key}: it is a whole number, and so must be its step."
            ) from None
        return replace(dimension, values=replace(values, whole=True))
    return dimension


def _settings(space: Space, dimension: Dimension) -> Iterator[dict[str, Any]]:
    """The first value of every earlier key, once for each component that has this key."""
    for name in dimension.names or (None,):
        params: dict[str, Any] = {}
        for earlier in space.dimensions:
            if earlier.key == dimension.of:
                params[earlier.key] = name
            elif earlier.applies(params) and earlier.key != dimension.key:
                params[earlier.key] = earlier.values.ends[0]
        yield params


def _check_ends(space: Space, dimension: Dimension) -> None:
    """Raises InputError at the first end of a range, or choice, that the experiment refuses."""
    for before in _settings(space, dimension):
        for end in dimension.values.ends:
            try:
                bound = space.bound({**before, dimension.key: end})
                said = "\n".join(map(str, bound.faults()))
            except InputError as error:
                said = str(error)
            if said:
                lines = (f"{dimension.place}{line}" for line in said.split("\n"))
                raise InputError("\n".join(lines))


def check_grid(space: Space) -> None:
    """Raises InputError unless all values can be listed."""
    faults = [
        f"{one.place}{one.key}: a grid has no continuous range; give it a step or one_of."
        for one in space.dimensions
        if one.values.listed is None
    ]
    if faults:
        raise InputError("\n".join(faults))
