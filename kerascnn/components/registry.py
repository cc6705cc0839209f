"""The components of all plugins; a plugin that fails to load is recorded and does no harm."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint

from pydantic import ValidationError

from kerascnn.components.component import BoundComponent, RegisteredComponent
from kerascnn.components.entry_points import (
    ALLOW,
    GROUP,
    Origin,
    by_permission,
    no_backend_imported,
)
from kerascnn.components.hooks import components_of
from kerascnn.errors import InputError, PluginError, did_you_mean
from kerascnn.runtime.commands import command, pip_install
from kerascnn.runtime.tracebacks import described

SLOW_SECONDS = 2.0
PACKAGES = {
    ("dataset", "flowers"): "kerascnn-flowers",
    ("dataset", "huggingface"): "kerascnn-huggingface",
    **{
        ("architecture", f"efficientnet_lite{number}"): "kerascnn-efficientnet-lite"
        for number in range(5)
    },
    ("architecture", "kerashub"): "kerascnn-kerashub",
    ("architecture", "zeromodels"): "kerascnn-zeromodels",
    ("augmentation", "albumentations"): "kerascnn-albumentations",
    ("augmentation", "kerascv"): "kerascnn-kerascv",
    ("observer", "tensorboard"): "kerascnn-tensorboard",
    ("engine", "ray"): "kerascnn-ray",
    ("dataset", "remote_shards"): "kerascnn-remote",
}  # of kerascnn's authors: messages name them where they are missing


@dataclass(frozen=True)
class Fault:
    origin: Origin
    reason: str


@dataclass(frozen=True)
class Slow:
    origin: Origin
    seconds: float

    def __str__(self) -> str:
        return f"took {self.seconds:.1f} s to import, which delays every command"


@dataclass(repr=False)
class Registry:
    claims: dict[tuple[str, str], list[RegisteredComponent]] = field(
        default_factory=lambda: defaultdict(list)
    )
    faults: list[Fault] = field(default_factory=list)
    slow: list[Slow] = field(default_factory=list)
    not_allowed: list[Origin] = field(default_factory=list)

    @cached_property
    def unique(self) -> list[RegisteredComponent]:
        """Every component whose name is claimed once, in order of loading: built-ins first."""
        return [claims[0] for claims in self.claims.values() if len(claims) == 1]

    def names(self, kind: str) -> list[str]:
        return [name for of_kind, name in self.claims if of_kind == kind]

    def of_kind(self, kind: str) -> Iterator[RegisteredComponent]:
        return (registered for registered in self.unique if registered.kind == kind)

    def at_hand(self, image_size: int) -> list[BoundComponent]:
        """The pretrained architectures, with default parameters, that need no download."""
        found = []
        for registered in self.of_kind("architecture"):
            with suppress(PluginError, ValidationError):  # a broken one, or one with no default
                bound = registered.bind({})
                weights = bound.weights(image_size)
                found += [bound] if weights and weights.at_hand else []
        return found

    def conflicts(self) -> list[str]:
        """One sentence for each name that more than one package claims."""
        return [self._conflict(*key) for key, claims in self.claims.items() if len(claims) > 1]

    def get(self, kind: str, name: str) -> RegisteredComponent:
        """Returns the component; raises InputError if it is missing or claimed twice."""
        claims = self.claims.get((kind, name), [])
        if len(claims) > 1:
            raise PluginError(self._conflict(kind, name))
        if not claims:
            raise InputError(f"unknown {kind}.{self._hints(kind, name)}")
        return claims[0]

    def find(self, name: str, kind: str | None = None) -> RegisteredComponent:
        """Returns the component of that name; raises InputError unless there is exactly one."""
        kinds = [kind] if kind else _kinds_of(name, self.claims) or _kinds_of(name, PACKAGES)
        if len(kinds) == 1:
            if (kinds[0], name) not in self.claims:
                raise InputError(f'unknown {kinds[0]} "{name}".{self._hints(kinds[0], name)}')
            return self.get(kinds[0], name)
        if kinds:
            listed = " and ".join(kinds)
            raise InputError(f'"{name}" is ambiguous ({listed}); choose one with --kind.')
        near = did_you_mean(name, (known for _, known in self.claims))
        shown = f" `{command('plugins')}` lists all."
        raise InputError(f'unknown component "{name}".{near}{shown}{self._elsewhere()}')

    def _conflict(self, kind: str, name: str) -> str:
        owners = list(dict.fromkeys(str(claim.origin) for claim in self.claims[kind, name]))
        if len(owners) == 1:
            return f'the {kind} "{name}" is registered twice by {owners[0]}.'
        return _claimed(f'the {kind} "{name}"', owners)

    def _hints(self, kind: str, name: str) -> str:
        package = PACKAGES.get((kind, name))
        if package and package not in self._unavailable():
            install, in_clone = pip_install(package), pip_install("-e", f"plugins/{package}")
            return f" The package {package} has it: `{install}`, or in a clone `{in_clone}`."
        names = self.names(kind)
        listing = command("plugins", "list", "--kind", kind)
        shown = f" `{listing}` lists all {len(names)}."
        return did_you_mean(name, names) + shown + self._elsewhere()

    def _unavailable(self) -> set[str]:
        """The installed packages that were not loaded."""
        origins = (*(fault.origin for fault in self.faults), *self.not_allowed)
        return {origin.distribution for origin in origins}

    def _elsewhere(self) -> str:
        """The packages that were not loaded and may offer the component."""
        hint = ""
        if self.faults:
            homes = "; ".join(f"{fault.origin}: {fault.reason}" for fault in self.faults)
            hint += f" It may be in a plugin that failed to load: {homes}."
        if self.not_allowed:
            homes = ", ".join(dict.fromkeys(map(str, self.not_allowed)))
            hint += f" It may be in a plugin that --allow-plugins ({ALLOW}) excludes: {homes}."
        return hint


def load_registry(
    points: Iterable[EntryPoint] | None = None, allow: Iterable[str] | None = None
) -> Registry:
    """Loads every plugin of the entry-point group, each in isolation.

    Args:
        points: The entry points to load; default all installed ones of the group `kerascnn`.
        allow: The distributions whose plugins may be imported besides the built-in ones; default
            those listed in the environment variable KERASCNN_ALLOW_PLUGINS, else all.

    Raises:
        InputError: A distribution in `allow` is not installed or has no plugin.
    """
    found, barred = by_permission(points, allow)
    registry = Registry(not_allowed=[origin for _, origin in barred])
    for point, origin in sorted(found, key=lambda pair: pair[1].distribution != GROUP):
        try:
            _refuse_shared_name(origin, [other for _, other in found])
            with no_backend_imported():
                loaded = _loaded(point, origin, registry)
        except PluginError as error:
            registry.faults.append(Fault(origin, _sentence(error)))
            continue
        for registered in loaded:
            registry.claims[registered.kind, registered.component.name].append(registered)
    return registry


def _kinds_of(name: str, known: Iterable[tuple[str, str]]) -> list[str]:
    return [kind for kind, other in known if other == name]


def _sentence(error: PluginError) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _claimed(what: str, owners: Iterable[str]) -> str:
    return f"{what} is claimed by {' and '.join(owners)}; uninstall all but one."


def _refuse_shared_name(origin: Origin, found: list[Origin]) -> None:
    owners = [str(other) for other in found if other.entry_point == origin.entry_point]
    if len(owners) > 1 and origin.distribution != GROUP:
        raise PluginError(_claimed(f'the entry-point name "{origin.entry_point}"', owners))


def _loaded(point: EntryPoint, origin: Origin, registry: Registry) -> list[RegisteredComponent]:
    """Imports the plugin and lists its components; records a slow import in the registry."""
    start = time.perf_counter()
    try:
        plugin = point.load()
    except (Exception, SystemExit) as error:
        named = isinstance(error, ModuleNotFoundError) and error.name == point.module
        hint = " (the module of its entry point)" if named else ""
        reason = described(error, point.module.partition(".")[0])
        raise PluginError(f"importing {point.value}: {reason}{hint}") from error
    seconds = time.perf_counter() - start
    if seconds > SLOW_SECONDS:
        registry.slow.append(Slow(origin, seconds))
    return [
        RegisteredComponent(component, kind, origin, point.module)
        for kind, component in components_of(plugin, origin.entry_point)
    ]
