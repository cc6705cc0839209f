"""Writes a working plugin package from a template."""

import re
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from kerascnn.components.entry_points import GROUP
from kerascnn.components.registry import Registry, load_registry
from kerascnn.errors import InputError
from kerascnn.runtime.commands import command


def write_plugin(name: str, kind: str, into: Path, registry: Registry | None = None) -> Path:
    """Writes a complete package for one component.

    Args:
        name: Name of the distribution, such as "kerascnn-stripes"; the names of the module and
            the component follow from it.
        kind: A key of `KINDS`, such as "dataset".
        into: Where to create the package's folder, which is returned; created if missing.
        registry: The components whose names are taken; default all installed ones.

    Raises:
        InputError: The name cannot be used, or the folder exists.
    """
    module, component = _names(name)
    _refuse_taken(module, component, kind, registry or load_registry())
    folder = into / name
    if folder.exists():
        raise InputError(f"{folder} exists; choose another name, or another folder with --into.")
    replaced = {"my-plugin": name, "my_plugin": module, "my_component": component, "my_kind": kind}
    for template in ("common", kind):
        _write(files("kerascnn.components") / "templates" / template, folder, replaced)
    return folder


def _names(name: str) -> tuple[str, str]:
    """The module and the component of a new package."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):  # PEP 508
        raise InputError(
            f'"{name}" is not a valid package name; use letters, digits and hyphens, such as '
            '"kerascnn-stripes".'
        )
    module = re.sub(r"[-_.]+", "_", name).lower()
    component = module.removeprefix(f"{GROUP}_")
    if not re.match("[a-z]", component) or iskeyword(module) or module == GROUP:
        raise InputError(
            f'"{name}" would make the component "{component}" in the module "{module}"; choose a '
            'name that gives valid ones, such as "kerascnn-stripes".'
        )
    return module, component


def _refuse_taken(module: str, component: str, kind: str, registry: Registry) -> None:
    """Refuses names that would shadow an installed module or component."""
    if module in sys.stdlib_module_names or find_spec(module):
        raise InputError(
            f'there is already a module "{module}"; choose another name, such as '
            f'"{GROUP}-{component.replace("_", "-")}-2", or uninstall it first.'
        )
    if component in registry.names(kind):
        owner = registry.claims[kind, component][0].origin
        raise InputError(
            f'{owner} already has the {kind} "{component}"; choose another name. '
            f"`{command('plugins', 'list', '--kind', kind)}` lists those taken."
        )


def _write(template: Traversable, target: Path, names: dict[str, str]) -> None:
    """Copies a template folder, replacing names in files and file names."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in template.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            _write(entry, target / _replaced(entry.name, names), names)
        elif entry.is_file():
            text = _replaced(entry.read_text("utf-8"), names)
            (target / _replaced(entry.name, names)).write_text(text, "utf-8")


def _replaced(text: str, names: dict[str, str]) -> str:
    return re.sub("|".join(names), lambda found: names[found[0]], text)
