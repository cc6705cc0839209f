"""Writes experiments: for a folder of pictures, or a recipe of the package's own."""

import os
import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import tomli_w

from kerascnn.config import parse_experiment
from kerascnn.errors import InputError, did_you_mean
from kerascnn.plugins import Registry, load_registry

FOLDER_RECIPE = "folder"


def recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    installed = Path(__file__).parent / "recipes"
    source = Path(__file__).parents[1] / "experiments"
    folder = installed if installed.is_dir() else source
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def write_experiment(
    folder: Path | None,
    recipe: str | None,
    architecture: str | None = None,
    *,
    force: bool = False,
    follow_links: bool = False,
) -> tuple[Path, str]:
    """Writes an experiment.

    Args:
        folder: Pictures; the experiment is written beside it.
        recipe: A recipe's name, written to the working directory, or, with a folder, its model.
        architecture: Replaces the recipe's architecture, with its default parameters.
        force: Overwrite what is there.
        follow_links: Read what links in the folder lead to elsewhere.

    Returns:
        The file, and what it is for in a line.

    Raises:
        InputError: Neither folder nor recipe, no such recipe, no pictures, the file exists.
    """
    if folder is None and recipe is None:
        raise InputError("name a folder of pictures, or --recipe NAME (--recipe list names them).")
    target = _beside(folder) if folder else Path(f"{recipe}.toml")
    if target.exists() and not force:
        raise InputError(f"{target} exists; --force overwrites it.")
    registry = load_registry()
    text, summary = _recipe(recipe or FOLDER_RECIPE), f"recipe {recipe}"
    if folder is not None:
        params = {"path": str(folder)} | ({"follow_links": True} if follow_links else {})
        summary = _look_at(params, registry)
        text = _for_folder(text, folder, target.stem, params)
    if architecture:
        text = _with_architecture(text, architecture)
    parse_experiment(tomllib.loads(text), registry, text, f"the new {target}")
    try:
        target.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write {target}: {error.strerror}. Change its folder's permissions, or write "
            "an experiment elsewhere with --recipe and set dataset.path in it."
        ) from error
    return target, summary


def _beside(folder: Path) -> Path:
    """FOLDER.toml, also where the folder is "." or ".."."""
    file = f"{os.path.abspath(folder)}.toml"
    return Path(file if folder.is_absolute() else os.path.relpath(file))


def _recipe(name: str) -> str:
    known = recipes()
    if name not in known:
        raise InputError(
            f'there is no recipe "{name}".{did_you_mean(name, known)} There are {", ".join(known)}.'
        )
    text = known[name].read_text("utf-8")
    return re.sub(r"(?m)^#:schema .*\n", "", text)  # the schema does not lie beside the new file


def _look_at(params: dict[str, Any], registry: Registry) -> str:
    splits = registry.get("dataset", "image_folder").bind(params).build(seed=0)
    counts = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    names = list(splits.class_names)
    shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"{sum(counts.values()):,} pictures of {len(names)} classes ({shown}): {parts}"


def _for_folder(text: str, folder: Path, name: str, params: dict[str, Any]) -> str:
    """The recipe for another dataset, its other comments kept."""
    header = f"# Written by `kerascnn init` for the pictures in {folder.resolve().name}.\n"
    text = re.sub(r"\A(?:#.*\n)*", lambda _: header, text)
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{_allowed(name)}"', text, count=1)
    return _replaced(text, "dataset", {"name": "image_folder"} | params)


def _allowed(name: str) -> str:
    """The name of an experiment, accents left out."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return re.sub(r"[^A-Za-z0-9_. -]", "-", plain)


def _with_architecture(text: str, name: str) -> str:
    """The recipe for another network, whose blocks are not those that the recipe counted."""
    text = re.sub(r'(?m)^unfreeze = "last:.*$', 'unfreeze = "auto"', text)
    return _replaced(text, "architecture", {"name": name})


def _replaced(text: str, table: str, content: dict[str, Any]) -> str:
    new = tomli_w.dumps({table: content})
    return re.sub(rf"(?ms)^\[{table}\]\n.*?(?=^\[|\Z)", lambda _: f"{new}\n", text)
