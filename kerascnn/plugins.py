"""Entry points to components: each plugin is loaded alone, and a broken one is only noted."""

import hashlib
import inspect
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

import pluggy
from pydantic import BaseModel, ValidationError

from kerascnn import hookspecs
from kerascnn.errors import InputError, PluginError, did_you_mean
from kerascnn.hookspecs import Component, Params

GROUP = "kerascnn"
ALLOW = "KERASCNN_ALLOW_PLUGINS"
KINDS = {
    "dataset": "kerascnn_datasets",
    "augmentation": "kerascnn_augmentations",
    "architecture": "kerascnn_architectures",
    "schedule": "kerascnn_schedules",
}
Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], table: dict[str, Any]) -> Model:
    """Validates a TOML table without guessing: "5" is no number, true is no 1.

    By way of JSON, because there pydantic's strictness still lets an array be a tuple, and a
    string a path.
    """
    return model.model_validate_json(json.dumps(table, default=str), strict=True)


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
        try:
            return Bound(self, validated(self.component.params, params))
        except (ValidationError, InputError):
            raise
        except Exception as error:
            raise self.fault("while its parameters were checked", error) from error

    def fault(self, when: str, error: Exception) -> PluginError:
        """The error that names the package whose code failed."""
        return PluginError(
            f'{self.kind} "{self.component.name}" of {self.origin} failed {when}: '
            f"{type(error).__name__}: {error}"
        )


@dataclass(frozen=True)
class Bound:
    """A component with its validated parameters, ready to build."""

    registered: Registered
    params: BaseModel

    @property
    def name(self) -> str:
        return self.registered.component.name

    @property
    def key(self) -> str:
        """SHA-256 of all that decides what is built: package, parameters, and the code itself."""
        registered = self.registered
        decides = f"{registered.kind} {self.name} {registered.origin} {self.params!r}"
        code = sorted(file.read_bytes() for file in _code(registered.component.build))
        return hashlib.sha256(b"".join([decides.encode(), *code])).hexdigest()

    def build(self, **context: Any) -> Any:
        """Calls the component's builder; a fault of the plugin's own is named as such."""
        try:
            return self.registered.component.build(self.params, **context)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            raise self.registered.fault("while it was built", error) from error


def _code(build: Callable[..., Any]) -> Iterable[Path]:
    """The files of the package that the function is in, or its module where that stands alone."""
    module = sys.modules[inspect.unwrap(getattr(build, "func", build)).__module__]
    if module.__file__ is None:
        return []
    file = Path(module.__file__)
    return file.parent.glob("*.py") if module.__package__ else [file]


@dataclass(repr=False)
class Registry:
    """All components of all plugins that are installed."""

    claims: dict[tuple[str, str], list[Registered]] = field(
        default_factory=lambda: defaultdict(list)
    )
    faults: list[Fault] = field(default_factory=list)
    not_allowed: list[Origin] = field(default_factory=list)

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

    def find(self, name: str, kind: str | None = None) -> Registered:
        """Returns the component of that name; raises InputError unless there is exactly one."""
        kinds = [kind] if kind else [of_kind for of_kind, known in self.claims if known == name]
        if len(kinds) == 1:
            return self.get(kinds[0], name)
        if kinds:
            every = " and ".join(kinds)
            raise InputError(f'"{name}" is the name of {every}; --kind says which is meant.')
        near = did_you_mean(name, (known for _, known in self.claims))
        shown = " `kerascnn plugins` lists what there is."
        raise InputError(f'there is no component "{name}".{near}{shown}{self._elsewhere()}')

    def _conflict(self, kind: str, name: str) -> str:
        owners = list(dict.fromkeys(str(claim.origin) for claim in self.claims[kind, name]))
        if len(owners) == 1:
            return f'the {kind} "{name}" is registered twice by {owners[0]}.'
        return _claimed(f'the {kind} "{name}"', owners)

    def _hints(self, kind: str, name: str) -> str:
        names = self.names(kind)
        shown = f" `kerascnn plugins list --kind {kind}` shows all {len(names)}."
        return did_you_mean(name, names) + shown + self._elsewhere()

    def _elsewhere(self) -> str:
        """The packages that were not loaded and may have what was looked for."""
        hint = ""
        for fault in self.faults:
            hint += f" Not loaded, and perhaps its home: {fault.origin}: {fault.reason}."
        if self.not_allowed:
            homes = ", ".join(dict.fromkeys(map(str, self.not_allowed)))
            hint += f" Not loaded, for --allow-plugins or {ALLOW} does not name it, and perhaps "
            hint += f"its home: {homes}."
        return hint


def load_registry(
    points: Iterable[EntryPoint] | None = None, allow: Iterable[str] | None = None
) -> Registry:
    """Loads every plugin of the entry-point group, each in isolation.

    Args:
        points: The entry points to load; default all installed ones of the group `kerascnn`.
        allow: The distributions whose plugins may be imported, beside the built-in ones; default
            those that the environment variable KERASCNN_ALLOW_PLUGINS lists, else all.

    Raises:
        InputError: A distribution of `allow` has no plugin here.
    """
    found, barred = _sorted_by_permission(points, allow)
    registry = Registry(not_allowed=[_origin(point) for point in barred])
    for point in sorted(found, key=lambda point: _origin(point).distribution != GROUP):
        origin = _origin(point)
        try:
            _refuse_shared_name(point, found)
            listed = _components(_imported(point), origin)
        except PluginError as error:
            registry.faults.append(Fault(origin, _sentence(error)))
            continue
        for registered in listed:
            registry.claims[registered.kind, registered.component.name].append(registered)
    return registry


def plugin_packages() -> set[str]:
    """The top-level names of the modules that installed and allowed plugins are in."""
    return {point.module.partition(".")[0] for point in _sorted_by_permission(None, None)[0]}


def _sorted_by_permission(
    points: Iterable[EntryPoint] | None, allow: Iterable[str] | None
) -> tuple[list[EntryPoint], list[EntryPoint]]:
    """The entry points that may be loaded, and the others."""
    installed = list(entry_points(group=GROUP) if points is None else points)
    allowed = _allowed(allow, installed)
    found = [point for point in installed if _distribution(point) in allowed]
    return found, [point for point in installed if _distribution(point) not in allowed]


def _allowed(allow: Iterable[str] | None, points: list[EntryPoint]) -> set[str]:
    """The distributions whose plugins may be loaded."""
    installed = {_distribution(point) for point in points} | {GROUP}
    if allow is None:
        listed = os.environ.get(ALLOW)
        if listed is None:
            return installed
        allow = filter(None, map(str.strip, listed.split(",")))
    allowed = {_normalized(name): name for name in allow}
    for normalized, name in allowed.items():
        if normalized not in installed:
            raise InputError(
                f'--allow-plugins (or {ALLOW}) names "{name}": no such package with plugins is '
                f"installed.{did_you_mean(normalized, installed)} "
                f"There are {', '.join(sorted(installed))}."
            )
    return {*allowed, GROUP}


def _normalized(distribution: str) -> str:
    """As package indexes compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _distribution(point: EntryPoint) -> str:
    return _normalized(_origin(point).distribution)


def _origin(point: EntryPoint) -> Origin:
    try:
        name, version = point.dist.name, point.dist.version  # type: ignore[union-attr]
    except Exception:  # no distribution, or a damaged one: importlib and its backport differ
        name = version = None
    return Origin(point.name, name or point.name, version or "of unknown version")


def _sentence(error: PluginError) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _claimed(what: str, owners: Iterable[str]) -> str:
    return f"{what} is claimed by {' and '.join(owners)}; uninstall all but one of them."


def _refuse_shared_name(point: EntryPoint, found: list[EntryPoint]) -> None:
    owners = [str(_origin(other)) for other in found if other.name == point.name]
    if len(owners) > 1 and _origin(point).distribution != GROUP:
        raise PluginError(_claimed(f'the entry-point name "{point.name}"', owners))


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
    if not manager.get_hookcallers(plugin):
        raise PluginError(f"{origin.entry_point} has no hook. {_hooks()}")
    found = []
    for kind, hook in KINDS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            listed = _listed(implementation)
            found += [Registered(_checked(c, hook), kind, origin) for c in listed]
    return _without_twins(found)


def _refuse_unmarked(plugin: object) -> None:
    """A function that lacks `@hookimpl` would be ignored without a word."""
    for name, function in inspect.getmembers(plugin, inspect.isroutine):
        if name.startswith("kerascnn_") and not hasattr(function, "kerascnn_impl"):
            known = name in KINDS.values()
            raise PluginError(f"{name} lacks @kerascnn.hookimpl" if known else _no_hook(name))


def _no_hook(name: str) -> str:
    return f"there is no hook {name}.{did_you_mean(name, KINDS.values())} {_hooks()}"


def _hooks() -> str:
    return f"The hooks are {', '.join(KINDS.values())}."


def _validation_message(error: pluggy.PluginValidationError) -> str:
    text = " ".join(str(error).split())
    if unknown := re.search(r"unknown hook '(\w+)'", text):
        return _no_hook(unknown[1])
    if definition := re.search(r"definition: (.*?\)) Argument", text):
        return f"{definition[1]} must take no arguments"
    return text


def _listed(implementation: pluggy.HookImpl) -> list[Any]:
    """What the hook returns; called without pluggy, which drops the None of a missing return."""
    name = implementation.function.__name__
    try:
        listed = implementation.function()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{name}() raised {type(error).__name__}: {error}") from error
    if not isinstance(listed, list | tuple):
        raise PluginError(f"{name}() must return a list of Component, not {_type(listed)}")
    return list(listed)


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
    if "name" in params.model_fields:
        raise PluginError(f'{hook}(): params of "{name}" has a key "name", which chooses it')
    return component


def _without_twins(found: list[Registered]) -> list[Registered]:
    counts = Counter((registered.kind, registered.component.name) for registered in found)
    for (kind, name), count in counts.items():
        if count > 1:
            raise PluginError(f'registers the {kind} "{name}" {count} times')
    return found


def _type(value: object) -> str:
    return type(value).__name__
