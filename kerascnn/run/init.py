"""Writes experiments: for a folder of images, or from a recipe."""

import os
import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import tomli_w

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.data.hygiene.balance import share_to_test
from kerascnn.engine.data.hygiene.findings import findings_in
from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer, Only
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.experiment.paths import read_from
from kerascnn.experiment.training import Training
from kerascnn.run.adapt import explained, with_class_weights, with_longer_head, with_native_size
from kerascnn.runtime.image_files import has_image_suffix

FOLDERS = "image_folder"
_SHARDS = {".tar": "tar_shards", ".zip": "zip_file", ".parquet": "parquet"}
FOLDER_RECIPE, SCRATCH_RECIPE = "folder", "folder_scratch"


def recipes() -> dict[str, Path]:
    installed = Path(__file__).parent / "recipes"
    source = Path(__file__).parents[2] / "experiments"
    folder = installed if installed.is_dir() else source
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def write_experiment(
    folder: Path | None,
    recipe: str | None,
    architecture: str | None = None,
    *,
    force: bool = False,
    follow_links: bool = False,
    labels: Path | None = None,
    observer: Observer | None = None,
) -> tuple[Path, str]:
    """Writes an experiment.

    Args:
        folder: A folder of images, of tar shards or of Parquet files, or a zip archive; the
            experiment is written next to it.
        recipe: Name of a recipe to write to the working directory, or to adapt to the folder;
            default the recipe for the kind of architecture.
        architecture: Replaces the recipe's architecture, with default parameters.
        force: Overwrite an existing file.
        follow_links: Follow symbolic links out of the folder.
        labels: A table of the folder's images and their labels.
        observer: Receives findings about the images, and the reason for each change to the recipe;
            default none.

    Returns:
        The file, and a one-line summary.

    Raises:
        InputError: Neither folder nor recipe, no such recipe, no images, or the file exists.
    """
    if folder is None and recipe is None:
        raise InputError("give a folder of images, or --recipe NAME (--recipe list shows them).")
    target = _beside(folder) if folder else Path(f"{recipe}.toml")
    if target.exists() and not force:
        raise InputError(f"{target} already exists; --force overwrites it.")
    registry = load_registry()
    text = _recipe(recipe or _recipe_for(architecture, registry))
    summary = f"recipe {recipe}"
    if architecture:
        text = _with_architecture(text, architecture)
    if folder is not None:
        dataset = folder_dataset(folder, follow_links, labels, registry)
        text = _for_folder(text, folder, target.stem, dataset)
        text, summary = _adapted(text, target, registry, observer or Observer())
    _parsed(text, target, registry)
    try:
        target.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write {target}: {error.strerror}. Change the permissions of its folder, or "
            "write an experiment elsewhere with --recipe and set dataset.path in it."
        ) from error
    return target, summary


def _adapted(text: str, target: Path, registry: Registry, observer: Observer) -> tuple[str, str]:
    """The experiment adapted to the images of its folder, and a one-line summary of these."""
    experiment = _parsed(text, target, registry)
    _look_for_weights(experiment, observer)
    text = with_native_size(text, experiment)
    data = _look_at(_parsed(text, target, registry), observer)
    text = with_longer_head(with_class_weights(text, data), experiment, data)
    for key, why in dict.fromkeys(re.findall(r"(?m)^(\w+ = \S+) +# (because .*)$", text)):
        observer.warned(f"{key}, {why}")
    return text, _summary(data)


def _parsed(text: str, target: Path, registry: Registry) -> BoundExperiment:
    table = tomllib.loads(text)
    read_from(target.parent, table, registry, lambda said: None)
    return bind_experiment(table, registry, text, f"the new {target}")


def recipe_text(architecture: str, registry: Registry) -> str:
    """The recipe for networks of this kind, with this architecture, as TOML."""
    return _with_architecture(_recipe(_recipe_for(architecture, registry)), architecture)


def _recipe_for(architecture: str | None, registry: Registry) -> str:
    """The recipe for networks of this kind: pretrained, or from scratch."""
    if architecture is None or ("architecture", architecture) not in registry.claims:
        return FOLDER_RECIPE  # an unknown name is reported later
    weights = registry.get("architecture", architecture).weights(Training().image_size)
    return FOLDER_RECIPE if weights else SCRATCH_RECIPE


def _beside(folder: Path) -> Path:
    """FOLDER.toml, also where the folder is "." or ".."; NAME.toml for an archive NAME.zip."""
    whole = Path(os.path.abspath(folder))
    file = f"{whole.with_suffix('') if whole.is_file() else whole}.toml"
    return Path(file if folder.is_absolute() else os.path.relpath(file))


def _recipe(name: str) -> str:
    known = recipes()
    if name not in known:
        raise InputError(
            f'no recipe "{name}".{did_you_mean(name, known)} The recipes are {", ".join(known)}.'
        )
    text = known[name].read_text("utf-8")
    return re.sub(r"(?m)^#:schema .*\n", "", text)  # there is no schema next to the new file


def folder_dataset(
    folder: Path, follow_links: bool, labels: Path | None, registry: Registry
) -> dict[str, Any]:
    """The dataset's table, its path relative to the working directory."""
    table: dict[str, Any] = {"path": str(folder)}
    name = _dataset_for(folder)
    if name != FOLDERS and (labels or follow_links):
        raise InputError(f'--labels and --follow-links are for {FOLDERS}; "{folder}" is {name}.')
    if labels:
        inside = (folder / labels).exists() or not labels.exists()
        table["labels"] = (labels if inside else Path(os.path.relpath(labels, folder))).as_posix()
    if follow_links:
        table["follow_links"] = True
    component = registry.get("dataset", name)

    def sizes(table: dict[str, Any]) -> list[int]:
        splits = component.bind(table).build(seed=0)
        return [len(splits.train), len(splits.validation), len(splits.test)]

    usual = sizes(table)
    larger = {"test_fraction": share_to_test(sum(usual))}
    drawn = sizes(table | larger) != usual  # unless it is the default, or there is a test split
    return {"name": name} | table | (larger if drawn else {})


def _dataset_for(path: Path) -> str:
    """The dataset for a file, or for the first files that are found in a folder."""
    if path.is_file():
        return _SHARDS.get(path.suffix.lower(), FOLDERS)
    found = ""
    for _, _, names in os.walk(path):
        if any(map(has_image_suffix, names)):
            return FOLDERS
        kinds = (_SHARDS.get(os.path.splitext(name)[1].lower()) for name in names)
        found = found or next((kind for kind in kinds if kind and kind != "zip_file"), "")
    return found or FOLDERS


def _look_at(experiment: BoundExperiment, observer: Observer) -> Data:
    """Prepares the images as the run will, which reuses them, and reports problems."""
    lenient = {"training.on_bad_image": "skip", "training.on_duplicate": "allow"}
    data = load_data(experiment.with_overrides(lenient), Only(progress=observer.progress))
    findings = findings_in(data.splits(), data.class_names, data.ignored)
    for note in findings.notes():
        observer.warned(note)
    if findings.skipped:
        observer.warned(
            "the run stops at images that cannot be read: repair or remove them, or run with "
            "--set training.on_bad_image=skip"
        )
    return data


def _look_for_weights(experiment: BoundExperiment, observer: Observer) -> None:
    """Warns of a network whose pretrained weights are not on this machine."""
    weights = experiment.architecture.weights(experiment.training.image_size)
    if weights and not weights.at_hand:
        observer.warned(
            f"the weights of {experiment.architecture.name} are not on this machine; the run takes "
            f"them from {weights.origin}"
        )


def _summary(data: Data) -> str:
    names = data.class_names
    shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    sizes = {split: len(packed) for split, packed in data.splits().items()}
    parts = ", ".join(f"{size:,} {split}" for split, size in sizes.items())
    return f"{sum(sizes.values()):,} images of {len(names)} classes ({shown}): {parts}"


def _for_folder(text: str, folder: Path, name: str, dataset: dict[str, Any]) -> str:
    """The recipe with another dataset; keeps its other comments."""
    header = f"# Written by `kerascnn init` for the images in {folder.resolve().name}.\n"
    text = re.sub(r"\A(?:#.*\n)*", lambda _: header, text)
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{allowed_name(name)}"', text, count=1)
    beside = os.path.basename(os.path.abspath(folder))
    text = _replaced(text, "dataset", dataset | {"path": beside})
    return explained(text, "test_fraction", "a tenth of so few images is too small a test split")


def allowed_name(name: str) -> str:
    """A valid experiment name: without accents, other characters replaced."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return re.sub(r"[^A-Za-z0-9_. -]", "-", plain)


def _with_architecture(text: str, name: str) -> str:
    """The recipe with another network, whose blocks may not match the recipe's `last:N`."""
    text = re.sub(r'(?m)^unfreeze = "last:.*$', 'unfreeze = "auto"', text)
    return _replaced(text, "architecture", {"name": name})


def _replaced(text: str, table: str, content: dict[str, Any]) -> str:
    new = tomli_w.dumps({table: content})
    return re.sub(rf"(?ms)^\[{table}\]\n.*?(?=^\[|\Z)", lambda _: f"{new}\n", text)
