"""Entry points to components: each plugin is loaded alone, and a broken one is only noted."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from pydantic import BaseModel

from kerascnn import hookspecs
from kerascnn.errors import InputError, PluginError, did_you_mean
from kerascnn.hookspecs import Component, Params

GROUP = "kerascnn"
KINDS = {
    "dataset": "kerascnn_datasets",
    "augmentation": "kerascnn_augmentations",
    "architecture": "kerascnn_architectures",
    "schedule": "kerascnn_schedules",
}


@dataclass(frozen=True)
class Origin:
    """The installed package that an entry point comes from."""

    entry_point: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Fault:
    """A plugin that could not be loaded, and why."""

    origin: Origin
    reason: str


@dataclass(frozen=True)
class Registered:
    """A component, its kind and where it comes from."""

    component: Component
    kind: str
    origin: Origin

    def bind(self, params: dict[str, Any]) -> "Bound":
        """Validates the component's parameters; raises pydantic's ValidationError."""
        return Bound(self, self.component.params.model_validate(params))


@dataclass(frozen=True)
class Bound:
    """A component with its validated parameters, ready to build."""

    registered: Registered
    params: BaseModel

    @property
    def name(self) -> str:
        return self.registered.component.name

    def build(self, **context: Any) -> Any:
        """Calls the component's builder; a fault of the plugin's own is named as such."""
        try:
            return self.registered.component.build(self.params, **context)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            kind, origin = self.registered.kind, self.registered.origin
            raise PluginError(
                f'{kind} "{self.name}" of {origin} failed while it was built: '
                f"{type(error).__name__}: {error}"
            ) from error


@dataclass
class Registry:
    """All components of all plugins that are installed."""

    claims: dict[tuple[str, str], list[Registered]] = field(
        default_factory=lambda: defaultdict(list)
    )
    faults: list[Fault] = field(default_factory=list)

    @cached_property
    def unique(self) -> list[Registered]:
        """Every component whose name is claimed once, built-ins first, in order of loading."""
        return [claims[0] for claims in self.claims.values() if len(claims) == 1]

    def names(self, kind: str) -> list[str]:
        return [name for of_kind, name in self.claims if of_kind == kind]

    def of_kind(self, kind: str) -> Iterator[Registered]:
        return (registered for registered in self.unique if registered.kind == kind)

    def conflicts(self) -> list[str]:
        """One sentence for each name that more than one package claims."""
        return [self._conflict(*key) for key, claims in self.claims.items() if len(claims) > 1]

    def get(self, kind: str, name: str) -> Registered:
        """Returns the component; raises InputError if it is missing or claimed twice."""
        claims = self.claims.get((kind, name), [])
        if len(claims) > 1:
            raise PluginError(self._conflict(kind, name))
        if not claims:
            raise InputError(f"there is no such {kind}.{self._hints(kind, name)}")
        return claims[0]

    def _conflict(self, kind: str, name: str) -> str:
        owners = " and ".join(str(claim.origin) for claim in self.claims[kind, name])
        return f'the {kind} "{name}" is claimed by {owners}; uninstall all but one of them.'

    def _hints(self, kind: str, name: str) -> str:
        names = self.names(kind)
        hint = did_you_mean(name, names)
        hint += f" `kerascnn plugins list --kind {kind}` shows all {len(names)}."
        for fault in self.faults:
            hint += f"\nNot loaded, and perhaps its home: {fault.origin}: {fault.reason}"
        return hint


def load_registry(points: Iterable[EntryPoint] | None = None) -> Registry:
    """Loads every plugin of the entry-point group, each in isolation.

    Args:
        points: The entry points to load; default all installed ones of the group `kerascnn`.
    """
    found = _distinct(entry_points(group=GROUP) if points is None else points)
    shared = Counter(point.name for point in found)
    registry = Registry()
    for point in sorted(found, key=lambda point: _origin(point).distribution != GROUP):
        origin = _origin(point)
        try:
            if shared[point.name] > 1:
                raise PluginError(_shared_name(point.name, found))
            for registered in _components(_imported(point), origin):
                key = registered.kind, registered.component.name
                registry.claims[key].append(registered)
        except PluginError as error:
            registry.faults.append(Fault(origin, str(error)))
    return registry


def _distinct(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Drops the copies that appear when one distribution is found twice on the path."""
    return list({(p.name, p.value, _origin(p).distribution): p for p in points}.values())


def _origin(point: EntryPoint) -> Origin:
    if point.dist is None:
        return Origin(point.name, point.name, "unknown version")
    return Origin(point.name, point.dist.name, point.dist.version)


def _shared_name(name: str, points: list[EntryPoint]) -> str:
    owners = " and ".join(str(_origin(point)) for point in points if point.name == name)
    return f'the entry-point name "{name}" is used by {owners}; uninstall all but one of them.'


def _imported(point: EntryPoint) -> object:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"importing {point.value}: {type(error).__name__}: {error}") from error


def _components(plugin: object, origin: Origin) -> list[Registered]:
    manager = pluggy.PluginManager("kerascnn")
    manager.add_hookspecs(hookspecs)
    _refuse_unmarked(plugin)
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(_validation_message(error)) from error
    found = []
    for kind, hook in KINDS.items():
        for listed in _called(getattr(manager.hook, hook), hook):
            found += [Registered(_checked(c, hook), kind, origin) for c in listed]
    return _without_twins(found)


def _refuse_unmarked(plugin: object) -> None:
    """A hook that lacks `@hookimpl` would be ignored without a word."""
    for name in KINDS.values():
        function = getattr(plugin, name, None)
        if callable(function) and not hasattr(function, "kerascnn_impl"):
            raise PluginError(f"{name} lacks the decorator @kerascnn.hookimpl")


def _validation_message(error: pluggy.PluginValidationError) -> str:
    text = " ".join(str(error).split())
    unknown = re.search(r"unknown hook '(\w+)'", text)
    if not unknown:
        return text
    hint = did_you_mean(unknown[1], KINDS.values())
    return f"there is no hook {unknown[1]}.{hint} The hooks are {', '.join(KINDS.values())}."


def _called(hook: Callable[[], list[Any]], name: str) -> list[list[Any]]:
    try:
        answers = hook()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{name}() raised {type(error).__name__}: {error}") from error
    for answer in answers:
        if not isinstance(answer, list | tuple):
            raise PluginError(f"{name}() must return a list of Component, not {_type(answer)}")
    return answers


def _checked(component: Any, hook: str) -> Component:
    if not isinstance(component, Component):
        raise PluginError(f"{hook}() must list Component objects, not {_type(component)}")
    name, params = component.name, component.params
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise PluginError(f"{hook}(): the component name {name!r} is not snake_case")
    if not callable(component.build):
        raise PluginError(f'{hook}(): build of "{name}" is not callable')
    if not (isinstance(params, type) and issubclass(params, Params)):
        raise PluginError(f'{hook}(): params of "{name}" must be a subclass of kerascnn.Params')
    return component


def _without_twins(found: list[Registered]) -> list[Registered]:
    counts = Counter((registered.kind, registered.component.name) for registered in found)
    for (kind, name), count in counts.items():
        if count > 1:
            raise PluginError(f'registers the {kind} "{name}" {count} times')
    return found


def _type(value: object) -> str:
    return type(value).__name__
