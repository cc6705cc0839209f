"""Entry points to components: each plugin is loaded alone, and a broken one is only noted."""

import hashlib
import json
import os
import re
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.abc import MetaPathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kerascnn.components.hooks import built_types, components_of
from kerascnn.errors import InputError, PluginError, did_you_mean
from kerascnn.hookspecs import Component
from kerascnn.runtime.backend import BACKENDS
from kerascnn.runtime.commands import command
from kerascnn.runtime.source_code import UnknownCodeError, code_key

GROUP = "kerascnn"
ALLOW = "KERASCNN_ALLOW_PLUGINS"
SLOW_SECONDS = 2.0
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


Found = tuple[EntryPoint, Origin]


@dataclass(frozen=True)
class Fault:
    """A plugin that could not be loaded, and why."""

    origin: Origin
    reason: str


@dataclass(frozen=True)
class Slow:
    """A plugin that every command waits for."""

    origin: Origin
    seconds: float

    def __str__(self) -> str:
        return f"took {self.seconds:.1f} s to import, and every command waits for it"


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
        """SHA-256 of all that decides what is built: package, parameters, and the code itself.

        "" where the code cannot be read.
        """
        registered = self.registered
        try:
            code = code_key([registered.component.build])
        except UnknownCodeError:
            return ""
        decides = f"{registered.kind} {self.name} {registered.origin} {self.params!r} {code}"
        return hashlib.sha256(decides.encode()).hexdigest()

    def faults(self, **context: Any) -> dict[str, str]:
        """Calls the component's own check, if it has one: faults by key."""
        component = self.registered.component
        try:
            return dict(component.check(self.params, **context)) if component.check else {}
        except Exception as error:
            raise self.registered.fault("in its check", error) from error

    def build(self, **context: Any) -> Any:
        """Calls the component's builder; a fault of the plugin's own is named as such."""
        try:
            made = self.registered.component.build(self.params, **context)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            arguments = ", ".join(f"{name}={value!r}" for name, value in context.items())
            raise self.registered.fault(f"in build(params, {arguments})", error) from error
        allowed = built_types(self.registered.kind)
        if not isinstance(made, allowed):
            names = (f"{one.__module__.partition('.')[0]}.{one.__name__}" for one in allowed)
            raise PluginError(
                f'{self.registered.kind} "{self.name}" of {self.registered.origin}: build must '
                f"return {' or '.join(names)}, not {type(made).__name__}."
            )
        return made


@dataclass(repr=False)
class Registry:
    """All components of all plugins that are installed."""

    claims: dict[tuple[str, str], list[Registered]] = field(
        default_factory=lambda: defaultdict(list)
    )
    faults: list[Fault] = field(default_factory=list)
    slow: list[Slow] = field(default_factory=list)
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
        shown = f" `{command('plugins')}` lists what there is."
        raise InputError(f'there is no component "{name}".{near}{shown}{self._elsewhere()}')

    def _conflict(self, kind: str, name: str) -> str:
        owners = list(dict.fromkeys(str(claim.origin) for claim in self.claims[kind, name]))
        if len(owners) == 1:
            return f'the {kind} "{name}" is registered twice by {owners[0]}.'
        return _claimed(f'the {kind} "{name}"', owners)

    def _hints(self, kind: str, name: str) -> str:
        names = self.names(kind)
        listing = command("plugins", "list", "--kind", kind)
        shown = f" `{listing}` shows all {len(names)}."
        return did_you_mean(name, names) + shown + self._elsewhere()

    def _elsewhere(self) -> str:
        """The packages that were not loaded and may have what was looked for."""
        hint = ""
        if self.faults:
            homes = "; ".join(f"{fault.origin}: {fault.reason}" for fault in self.faults)
            hint += f" Not loaded, and perhaps its home: {homes}."
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
    registry = Registry(not_allowed=[origin for _, origin in barred])
    for point, origin in sorted(found, key=lambda pair: pair[1].distribution != GROUP):
        try:
            _refuse_shared_name(origin, [other for _, other in found])
            with _neither_keras_nor_a_backend():
                loaded = _loaded(point, origin, registry)
        except PluginError as error:
            registry.faults.append(Fault(origin, _sentence(error)))
            continue
        for registered in loaded:
            registry.claims[registered.kind, registered.component.name].append(registered)
    return registry


def plugin_packages() -> set[str]:
    """The top-level names of the modules that installed and allowed plugins are in."""
    found, _ = _sorted_by_permission(None, None)
    return {point.module.partition(".")[0] for point, _ in found}


def plugin_at_fault(error: BaseException) -> str:
    """In which plugin's code it was raised, and where; empty where in none's."""
    found, _ = _sorted_by_permission(None, None)
    homes = {point.module.partition(".")[0]: origin for point, origin in found}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        origin = homes.get(frame.f_globals.get("__name__", "").partition(".")[0])
        if origin and origin.distribution != GROUP:
            return f", in {origin} ({Path(frame.f_code.co_filename).name}, line {line})"
    return ""


def _sorted_by_permission(
    points: Iterable[EntryPoint] | None, allow: Iterable[str] | None
) -> tuple[list[Found], list[Found]]:
    """The entry points that may be loaded, and the others."""
    if points is None:
        points = entry_points(group=GROUP)
    installed = [(point, _origin(point)) for point in points]
    allowed = _allowed(allow, {_normalized(origin.distribution) for _, origin in installed})
    found = [one for one in installed if _normalized(one[1].distribution) in allowed]
    return found, [one for one in installed if one not in found]


def _allowed(allow: Iterable[str] | None, installed: set[str]) -> set[str]:
    """The distributions whose plugins may be loaded."""
    installed = installed | {GROUP}
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


def _origin(point: EntryPoint) -> Origin:
    try:
        metadata = point.dist.metadata  # type: ignore[union-attr]  # is parsed at each access
        name, version = metadata["Name"], metadata["Version"]
    except Exception:  # no distribution, or a damaged one: importlib and its backport differ
        name = version = None
    return Origin(point.name, name or point.name, version or "of unknown version")


def _sentence(error: PluginError) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _claimed(what: str, owners: Iterable[str]) -> str:
    return f"{what} is claimed by {' and '.join(owners)}; uninstall all but one of them."


def _refuse_shared_name(origin: Origin, found: list[Origin]) -> None:
    owners = [str(other) for other in found if other.entry_point == origin.entry_point]
    if len(owners) > 1 and origin.distribution != GROUP:
        raise PluginError(_claimed(f'the entry-point name "{origin.entry_point}"', owners))


def _loaded(point: EntryPoint, origin: Origin, registry: Registry) -> list[Registered]:
    """Imports the plugin and asks it; notes in the registry if the import takes long."""
    start = time.perf_counter()
    try:
        plugin = point.load()
    except (Exception, SystemExit) as error:
        named = isinstance(error, ModuleNotFoundError) and error.name == point.module
        hint = ", which its entry point names" if named else ""
        reason = f"{type(error).__name__}: {error}{hint}"
        raise PluginError(f"importing {point.value}: {reason}") from error
    seconds = time.perf_counter() - start
    if seconds > SLOW_SECONDS:
        registry.slow.append(Slow(origin, seconds))
    return [
        Registered(component, kind, origin)
        for kind, component in components_of(plugin, origin.entry_point)
    ]


@contextmanager
def _neither_keras_nor_a_backend() -> Iterator[None]:
    """Refuses to import them: it takes seconds, and a run has yet to choose its backend."""
    finder = _Refuse(threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@dataclass(frozen=True)
class _Refuse(MetaPathFinder):
    thread: int

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in ("keras", *BACKENDS) and threading.get_ident() == self.thread:
            raise ImportError(f"a plugin imports {name} in build, not at the top of its module")
