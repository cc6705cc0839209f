"""The code behind a class or function: its package, what that imports, and data beside it."""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from importlib.util import find_spec
from inspect import isfunction, ismethod
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from kerascnn.runtime.backend import BACKENDS
from kerascnn.runtime.process import kept

_KNOWN_BY_VERSION = {"keras", "numpy", "jaxlib", *BACKENDS}  # see `installed_versions`
_VALIDATES = {"pydantic", "pydantic_core"}  # parameters, whose values are in every key
_NOT_CODE = {*_KNOWN_BY_VERSION, *_VALIDATES, *sys.stdlib_module_names}
_INSTALLED = {"site-packages", "dist-packages"}

# What decides a computation: code, and the settings and tables that it may read. Weights and images
# are left out, as they are hashed by value: those of a built network and of a dataset's source.
_CODE = {".py", ".so", ".pyd", ".dll", ".dylib"}
_DATA = {".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".xml", ".txt", ".csv", ".tsv"}
_ARRAYS = {".npy", ".npz"}
_DECIDES = _CODE | _DATA | _ARRAYS

_RECORDED = re.compile(r'^"?(?:([^/,"\n]+)/[^,"\n]*|([^/,"\n]+))\.py"?,', re.MULTILINE)

_IMPORT = re.compile(
    rb"^[ \t]*(?:import[ \t]+(?P<plain>[\w. \t,]+)|from[ \t]+(?P<of>\w[\w.]*)[ \t]+import\b)"
    rb"|(?:import_module|__import__)\([ \t\n]*[\"'](?P<named>\w[\w.]*)",
    re.MULTILINE,
)


class UnknownCodeError(Exception):
    """Code cannot be read, such as that typed into a notebook; the text says whose."""


class Unit(NamedTuple):
    """The outermost package of a module, or a module in none."""

    name: str
    places: tuple[Path, ...]  # the package's folders, or the module's file

    @property
    def installed(self) -> bool:
        """Whether its distribution's version says what it holds; not if it is being edited."""
        return bool(self.places) and all(_INSTALLED & {*place.parts} for place in self.places)


def code_key(
    defined: Iterable[type | Callable], modules: Iterable[str] = (), of: Iterable[str] = ()
) -> str:
    """SHA-256 of the code of classes and functions, and of all that it may use.

    It covers every file of code, settings and tables in the packages that define them and their
    base classes, and in the packages that these import and that are not installed in
    `site-packages`; and the versions of these packages' distributions, of those that they import,
    and of the requirements of both. Python's own modules, Keras and the backends are left to
    `installed_versions`.

    Args:
        defined: The classes and functions.
        modules: Further modules, by name.
        of: Further distributions, by name.

    Raises:
        UnknownCodeError: A module has no file.
    """
    names = [name for one in defined for name in _modules(one)]
    return modules_key([*names, *modules], of)


def modules_key(names: Iterable[str], of: Iterable[str] = ()) -> str:
    """The same for modules, by name."""
    own = {_unit_with_files(name) for name in names if _top(name) not in _NOT_CODE}
    waiting, seen, digests = list(own), set(own), list[str]()
    while waiting:
        unit = waiting.pop()
        if unit in own or not unit.installed:
            hashed, imported = _read(unit)
            digests += hashed
            waiting += imported - seen
            seen |= imported
    owners = {one for unit in seen for one in _owners().get(_top(unit.name), ())}
    versions = sorted(_versions([*owners, *of]))
    return sha256(repr((sorted(digests), versions)).encode()).hexdigest()


def refuse_local(classes: Iterable[type]) -> None:
    """Raises UnknownCodeError for a class made in a function, whose values may decide as well."""
    for cls in {base for one in classes for base in one.__mro__}:
        if _top(cls.__module__) not in _NOT_CODE and not is_in_its_module(cls):
            raise UnknownCodeError(
                f"the class {cls.__name__} is not at the top of its module, {cls.__module__}"
            )


def is_in_its_module(cls: type) -> bool:
    """Whether importing its module makes the class: not if a function makes it when called."""
    module = sys.modules.get(cls.__module__)
    by_name: Any = module
    for part in cls.__qualname__.split("."):
        by_name = getattr(by_name, part, None)
    held = getattr(module, "__dict__", {}).values()
    return by_name is cls or any(value is cls for value in held)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _modules(defined: Any) -> Iterator[str]:
    """The modules of a class and its bases; or of a function, what it wraps and is bound to."""
    waiting, seen = [defined], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, type):
            yield from (cls.__module__ for cls in one.__mro__)
        elif isinstance(one, partial):
            waiting += [one.func, *one.args, *one.keywords.values()]
        elif ismethod(one):
            waiting += [one.__func__, one.__self__]
        elif isfunction(one):
            yield one.__globals__["__name__"]  # `wraps` copies another into __module__
            waiting += filter(callable, _enclosed(one))
        else:
            waiting.append(type(one))
        waiting += [one.__wrapped__] if hasattr(one, "__wrapped__") else []


def _enclosed(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # of one that is still empty
            yield cell.cell_contents


def _unit_with_files(name: str) -> Unit:
    unit = _unit(name)
    if unit is None:
        raise UnknownCodeError(f"the code of the module {name} is in no file")
    return unit


def _unit(name: str) -> Unit | None:
    """The package or module that a name belongs to; None if it is in no file."""
    parts = name.split(".")
    for outermost in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
        folders, file = _located(outermost)
        if file and folders:
            return Unit(outermost, folders)
        if file and outermost == name and len(parts) > 1:  # in a folder without __init__.py
            return Unit(_top(name), (file.parent,))
        if file:
            return Unit(outermost, (file,))
    return Unit(name, folders) if folders else None


def _located(name: str) -> tuple[tuple[Path, ...], Path | None]:
    """A module's folders, if it is a package, and its file, if it has one."""
    if module := sys.modules.get(name):
        folders, file = getattr(module, "__path__", None), getattr(module, "__file__", None)
    else:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError, AttributeError):  # of a parent that is a module
            spec = None
        folders = spec and spec.submodule_search_locations
        file = spec.origin if spec and spec.has_location else None
    return tuple(map(Path, folders or ())), Path(file) if file else None


@kept
def _read(unit: Unit) -> tuple[list[str], set[Unit]]:
    """The hashes of the files that decide, and what they import."""
    texts = _contents(unit)
    named = ((f"{unit.name} {name}\0".encode(), text) for name, text in texts.items())
    digests = [sha256(name + text).hexdigest() for name, text in named]
    # all of kerascnn counts; what it requires, `installed_versions`
    return digests, set() if unit.name == "kerascnn" else set(_imported(texts))


def _contents(unit: Unit) -> dict[str, bytes]:
    """The files that decide, by their path in the package or beside the module."""
    found = dict[str, bytes]()
    for place in unit.places:
        if place.is_dir():
            files = (file for file in place.rglob("*") if file.suffix in _DECIDES)
            found |= {file.relative_to(place).as_posix(): _bytes(file) for file in files}
        else:
            found[place.name] = text = _bytes(place)
            beside = (f for f in place.parent.iterdir() if f.suffix in _DATA | _ARRAYS)
            found |= {f.name: _bytes(f) for f in beside if f.name.encode() in text}
    return found


def _imported(texts: dict[str, bytes]) -> Iterator[Unit]:
    """The packages and modules that files of code import, wherever they do."""
    code = (text for name, text in texts.items() if name.endswith(".py"))
    names = {name for text in code for found in _IMPORT.finditer(text) for name in _named(found)}
    for name in names:
        if _top(name) not in _NOT_CODE and (unit := _unit(name)):
            yield unit


def _named(found: "re.Match[bytes]") -> Iterator[str]:
    plain, of, named = (found[name] for name in ("plain", "of", "named"))
    for one in (plain or of or named).decode().split(","):
        if name := one.split(" as ")[0].strip():
            yield name.split()[0]


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnknownCodeError(f"the code in {file} cannot be read: {error.strerror}") from error


@cache
def _owners() -> dict[str, list[str]]:
    """The distributions of each top-level module.

    As `importlib.metadata.packages_distributions`, which takes half a second to parse the lists of
    all files.
    """
    owners: dict[str, list[str]] = defaultdict(list)
    for found in distributions():
        name = next(iter(_header(found, "Name")), "")
        for top in _tops(found):
            owners[top].append(name)
    return owners


def _tops(found: Distribution) -> set[str]:
    """The top-level modules of a distribution."""
    if said := found.read_text("top_level.txt"):
        return {*said.split()}
    record = found.read_text("RECORD")
    if record is None:
        files = (path for path in found.files or () if path.suffix == ".py")
        return {path.parts[0].removesuffix(".py") for path in files}
    return {top for package, module in _RECORDED.findall(record) if (top := package or module)}


def _versions(names: list[str]) -> set[str]:
    """Distributions and their requirements, each with its version."""
    found, waiting = dict[str, str](), list(names)
    while waiting:
        name = waiting.pop()
        if name.lower() not in found and name.lower() != "kerascnn":
            found[name.lower()], required = _metadata(name)
            waiting += required
    return {f"{name} {version}" for name, version in found.items()}


@kept
def _metadata(name: str) -> tuple[str, list[str]]:
    try:
        found = distribution(name)
    except PackageNotFoundError:  # of an extra that is not installed, or for another system
        return "", []
    required = [re.split(r"[^\w.-]", one)[0] for one in _header(found, "Requires-Dist")]
    return next(iter(_header(found, "Version")), ""), required


def _header(found: Distribution, field: str) -> list[str]:
    """The values of a field: the parser of `found.metadata` takes a hundred times as long."""
    text = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
    fields = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    return re.findall(rf"^{field}: *(.*?)\s*$", fields, re.MULTILINE | re.IGNORECASE)
