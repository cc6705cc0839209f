"""The entry points of installed plugins, and which of them may be imported."""

import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import Any

from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.backend import BACKENDS
from kerascnn.runtime.tracebacks import places

GROUP = "kerascnn"
ALLOW = "KERASCNN_ALLOW_PLUGINS"


@dataclass(frozen=True)
class Origin:
    """The installed package that an entry point comes from."""

    entry_point: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


Found = tuple[EntryPoint, Origin]


def plugin_packages() -> dict[str, Origin]:
    """Where each top-level module of the allowed plugins comes from."""
    found, _ = by_permission(None, None)
    return {point.module.partition(".")[0]: origin for point, origin in found}


def packages_for_models() -> dict[str, Origin]:
    """Where each top-level module that a saved model may need comes from.

    Modules of the allowed plugins and of the packages that these require; those that kerascnn
    requires have no layers.
    """
    found, _ = by_permission(None, None)
    plugins = {origin.distribution: point.dist for point, origin in found}
    plugins.pop(GROUP, None)
    required = {name for dist in plugins.values() if dist for name in dist.requires or ()}
    names = {*plugins, *(re.split(r"[^\w.-]", name)[0] for name in required)}
    return {**dict(_contents(names)), **plugin_packages()}


def _contents(names: Iterable[str]) -> Iterator[tuple[str, Origin]]:
    """The top-level modules of installed distributions."""
    for name in names:
        try:
            found = distribution(name)
        except PackageNotFoundError:  # of an extra that is not installed, or for another system
            continue
        files = {path.parts[0].removesuffix(".py") for path in found.files or ()}
        for top in filter(str.isidentifier, {*files, re.sub("[-.]", "_", name)}):
            yield top, Origin(name, name, found.version)


def plugin_at_fault(error: BaseException) -> str:
    """The plugin whose code raised the error, such as ", in x 1.0 (x.py, line 3)", or ""."""
    homes = plugin_packages()
    for package, (file, line) in reversed(places(error)):
        origin = homes.get(package)
        if origin and origin.distribution != GROUP:
            return f", in {origin} ({file.name}, line {line})"
    return ""


def by_permission(
    points: Iterable[EntryPoint] | None, allow: Iterable[str] | None
) -> tuple[list[Found], list[Found]]:
    """The entry points that may be loaded, and those that may not."""
    if points is None:
        points = entry_points(group=GROUP)
    installed = [(point, _origin(point)) for point in points]
    allowed = _allowed(allow, {_normalized(origin.distribution) for _, origin in installed})
    found = [one for one in installed if _normalized(one[1].distribution) in allowed]
    return found, [one for one in installed if one not in found]


def _allowed(allow: Iterable[str] | None, installed: set[str]) -> set[str]:
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
                f'--allow-plugins ({ALLOW}): no plugin package "{name}" is installed.'
                f"{did_you_mean(normalized, installed)} Installed: {', '.join(sorted(installed))}."
            )
    return {*allowed, GROUP}


def _normalized(distribution: str) -> str:  # PEP 503
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _origin(point: EntryPoint) -> Origin:
    try:
        metadata = point.dist.metadata  # type: ignore[union-attr]  # parsed at each access
        name, version = metadata["Name"], metadata["Version"]
    except Exception:  # no distribution, or a damaged one: importlib and its backport differ
        name = version = None
    return Origin(point.name, name or point.name, version or "(unknown version)")


@contextmanager
def no_backend_imported() -> Iterator[None]:
    """Refuses to import Keras and backends: slow, and the run has yet to choose a backend."""
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
            raise ImportError(f"plugins must import {name} inside build, not at module level")
