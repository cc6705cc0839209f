"""The code behind a class or function: every file of its package, and what that requires."""

import ast
import inspect
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

from kerascnn.runtime.backend import BACKENDS

_KNOWN_BY_VERSION = {"keras", "numpy", "jaxlib", *BACKENDS}  # see `installed_versions`
_KNOWN = {*_KNOWN_BY_VERSION, *sys.stdlib_module_names}
_INSTALLED = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
_CODE = (".py", ".so", ".pyd")


class UnknownCodeError(Exception):
    """Code cannot be read, such as that typed into a notebook; the text says whose."""


def code_key(defined: Iterable[type | Callable]) -> str:
    """SHA-256 of the code of classes and functions.

    It covers every file of the packages that define them and their base classes, helpers and
    constants included, and the versions of these packages and of their requirements. Python's own
    modules, Keras and the backends are left to `installed_versions`.

    Raises:
        UnknownCodeError: A module has no file, or does not hold the class: the values that a class
            made in a function uses are unknown.
    """
    defined = list(defined)
    key = modules_key(name for one in defined for name in _modules(one))
    for cls in (cls for one in defined if isinstance(one, type) for cls in one.__mro__):
        if cls.__module__.partition(".")[0] not in _KNOWN and not is_in_its_module(cls):
            raise UnknownCodeError(
                f"the class {cls.__name__} is not at the top of its module, {cls.__module__}"
            )
    return key


def modules_key(names: Iterable[str]) -> str:
    """The same for modules, by name."""
    names = {name for name in names if name.partition(".")[0] not in _KNOWN}
    files = {file for name in names for file in _files(name)}
    digests = sorted(sha256(f.name.encode() + b"\0" + _bytes(f)).hexdigest() for f in files)
    tops = {name.partition(".")[0] for name in names} - {"kerascnn"}
    versions = sorted({version for top in tops for version in _versions(top)})
    return sha256(repr((digests, versions)).encode()).hexdigest()


def is_in_its_module(cls: type) -> bool:
    """Whether importing its module makes the class: not if a function makes it when called."""
    module = sys.modules.get(cls.__module__)
    by_name: Any = module
    for part in cls.__qualname__.split("."):
        by_name = getattr(by_name, part, None)
    held = getattr(module, "__dict__", {}).values()
    return by_name is cls or any(value is cls for value in held)


def _modules(defined: type | Callable) -> list[str]:
    if isinstance(defined, type):
        return [cls.__module__ for cls in defined.__mro__]
    return [inspect.unwrap(getattr(defined, "func", defined)).__module__]  # func: of a partial


def _files(name: str) -> set[Path]:
    """The files of the outermost package that a module is in, or of a single module."""
    parts = name.split(".")
    for outermost in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
        folders = getattr(sys.modules.get(outermost), "__path__", ())
        if files := {file for folder in folders for file in _below(Path(folder))}:
            return files
    file = getattr(sys.modules.get(name), "__file__", None)
    if not file:
        raise UnknownCodeError(f"the code of the module {name} is in no file")
    return _alone(Path(file))


def _below(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.suffix in _CODE)


def _alone(first: Path) -> set[Path]:
    """A single module's file and the files beside it that it imports."""
    found: set[Path] = set()
    waiting = [first]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for name in _imported(file):
            if (module := file.with_name(f"{name}.py")).is_file():
                waiting.append(module)
            elif file.parent not in _INSTALLED:  # where all packages lie side by side
                found.update(_below(file.with_name(name)))
    return found


def _imported(file: Path) -> set[str]:
    """The top-level names of the modules that a file imports."""
    if file.suffix != ".py":
        return set()
    names = set()
    for node in ast.walk(ast.parse(_bytes(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnknownCodeError(f"the code in {file} cannot be read: {error.strerror}") from error


@cache
def _owners() -> dict[str, list[str]]:
    return {top: list(names) for top, names in packages_distributions().items()}


def _versions(top: str) -> set[str]:
    """A package's distribution and its requirements, each with its version."""
    found: dict[str, str] = {}
    waiting = _owners().get(top, [])
    while waiting:
        name, *waiting = waiting
        if name not in found:
            found[name], required = _metadata(name)
            waiting += required
    return {f"{name} {version}" for name, version in found.items()}


def _metadata(name: str) -> tuple[str, list[str]]:
    try:
        found = distribution(name)
    except PackageNotFoundError:  # of an extra that is not installed, or for another system
        return "", []
    return found.version, [re.split(r"[^\w.-]", one)[0] for one in found.requires or ()]
