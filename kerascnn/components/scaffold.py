"""Writes a plugin package that works as it is: a template, with its names replaced."""

import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from kerascnn.components.entry_points import GROUP
from kerascnn.components.registry import Registry, load_registry
from kerascnn.errors import InputError
from kerascnn.runtime.commands import command


@dataclass(frozen=True)
class Names:
    """What a new package is called, and the component in it."""

    distribution: str
    module: str
    component: str


def write_plugin(name: str, kind: str, into: Path, registry: Registry | None = None) -> Path:
    """Writes a complete package for one component.

    Args:
        name: Of the distribution, such as "kerascnn-stripes"; the module's and the component's
            names follow from it.
        kind: "dataset", "augmentation", "architecture" or "schedule".
        into: The folder to write the package's folder in; is made where it is missing.
        registry: The components whose names are taken; default all that are installed.

    Returns:
        The package's folder.

    Raises:
        InputError: The name cannot be used, or the folder exists.
    """
    names = _names(name)
    _refuse_taken(names, kind, registry or load_registry())
    folder = into / name
    if folder.exists():
        raise InputError(f"{folder} exists: choose another name, or another folder by --into.")
    replaced = {
        "my-plugin": names.distribution,
        "my_plugin": names.module,
        "my_component": names.component,
        "my_kind": kind,
    }
    templates = files("kerascnn.components") / "templates"
    for template in (templates / "common", templates / kind):
        _write(template, folder, replaced)
    return folder


def _names(name: str) -> Names:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):  # PEP 508
        raise InputError(
            f'"{name}" is no name for a package: expected letters, digits and - between them, '
            'such as "kerascnn-stripes".'
        )
    module = re.sub(r"[-_.]+", "_", name).lower()
    component = module.removeprefix(f"{GROUP}_")
    if not re.match("[a-z]", component) or iskeyword(module) or module == GROUP:
        raise InputError(
            f'"{name}" cannot be used: the component would be called "{component}" and its module '
            f'"{module}". Choose a name that begins with a letter, such as "kerascnn-stripes".'
        )
    return Names(name, module, component)


def _refuse_taken(names: Names, kind: str, registry: Registry) -> None:
    """What is installed would hide the new package, or be hidden by it."""
    if names.module in sys.stdlib_module_names or find_spec(names.module):
        raise InputError(
            f'there is a module "{names.module}" here already: choose a name of your own, such as '
            f'"{GROUP}-{names.component.replace("_", "-")}-2", or uninstall it first.'
        )
    if names.component in registry.names(kind):
        owner = registry.claims[kind, names.component][0].origin
        raise InputError(
            f'the {kind} "{names.component}" is there already, of {owner}: choose another name. '
            f"`{command('plugins', 'list', '--kind', kind)}` shows those that are taken."
        )


def _write(template: Traversable, target: Path, names: dict[str, str]) -> None:
    """Copies a folder of the templates; in its files and their names, names are replaced."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in template.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            _write(entry, target / _replaced(entry.name, names), names)
        elif entry.is_file():
            text = _replaced(entry.read_text("utf-8"), names)
            (target / _replaced(entry.name, names)).write_text(text, "utf-8")


def _replaced(text: str, names: dict[str, str]) -> str:
    return re.sub("|".join(names), lambda found: names[found[0]], text)
