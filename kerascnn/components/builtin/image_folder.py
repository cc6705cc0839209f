"""A folder of one's own images as a dataset."""

import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from pydantic import Field

from kerascnn import Component, InputError, SplitParams, Splits, nfc, split_files
from kerascnn.components.builtin.class_folders import (
    LAYOUT,
    Folders,
    Labelled,
    entries_of,
    near,
    tables_in,
)
from kerascnn.components.builtin.label_columns import TableParams
from kerascnn.components.builtin.label_table import read_table


class ImageFolderParams(SplitParams, TableParams):
    """A folder of images."""

    path: Path = Field(
        description="The folder, relative to the TOML file; ~ is the home folder. In it, "
        "a folder for each class, or the folders train, validation (or val, valid) and test of "
        "such folders; of these, validation and test are drawn from train where they are missing."
    )
    follow_links: bool = Field(
        False,
        description="Whether links in the folder to images and folders elsewhere are read; else "
        "each is an error.",
    )
    only_test: bool = Field(
        False,
        description="Whether all images are to test by, as `kerascnn evaluate` takes a folder; "
        "nothing can be trained on them.",
    )


def build_image_folder(params: ImageFolderParams, *, seed: int) -> Splits:
    root = _root(params.path)
    follow_links, folders = params.follow_links, Folders(params.follow_links)
    found = read_table(root, params, follow_links) if params.labels else folders.read(root)
    if params.only_test:
        found = {"test": list(chain.from_iterable(found.values()))}
    _check_names(root, {label for images in found.values() for _, label in images})
    if not params.only_test:
        hint = "" if params.labels else f"{folders.doubled(root)}{tables_in(root)}"
        _check_classes(root, found, hint)
    return split_files(root, found, params, follow_links=follow_links, ignored=folders.ignored)


def check(params: ImageFolderParams, *, image_size: int) -> dict[str, str]:
    """Whether the folder, and the table of labels, are there."""
    try:
        root = _root(params.path)
    except InputError as error:
        return {"path": str(error).rstrip(".")}
    if params.labels and not (root / params.labels.expanduser()).is_file():
        return {"labels": f"there is no such file in {root}"}
    return {}


def _root(path: Path) -> Path:
    try:
        root = path.expanduser().resolve()
        is_folder = root.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no such home, a zero
        raise InputError(f"cannot look for the folder {str(path)!r}: {error}") from error
    if not is_folder:
        others = (entry.name for entry in entries_of(root.parent) if entry.is_dir())
        raise InputError(
            f'there is no folder "{path}" (looked for {root}).{near(root.name, others)} {LAYOUT}'
        )
    return root


def _check_classes(root: Path, found: Mapping[str, Sequence[Labelled]], hint: str) -> None:
    names = {label for _, label in found["train"]}
    if len(names) < 2:
        raise InputError(
            f'"{root}" has images of one class alone, "{", ".join(names)}"; expected two or more.'
            f"{hint or f' {LAYOUT}'}"
        )
    for split, images in found.items():
        for name in sorted({label for _, label in images} - names):
            raise InputError(
                f'the class "{name}" of the {split} split of "{root}" has no image in the train '
                f"split.{near(name, names)} The classes there: {', '.join(sorted(names))}."
            )


def _check_names(root: Path, names: Iterable[str]) -> None:
    """Names that another system, or a line of text, could not hold apart."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            if read := _read_in_utf8(name):
                raise InputError(
                    f'the class "{read}" of "{root}" cannot be named: the locale of this process '
                    f"reads file names as {sys.getfilesystemencoding()}. Set PYTHONUTF8=1, or a "
                    "locale of UTF-8 such as LC_ALL=C.UTF-8."
                )
            raise InputError(
                f'the class {name!r} of "{root}" has a name that is no text of one line in UTF-8; '
                "rename it."
            )
        other = seen.setdefault(nfc(name).casefold(), name)
        if other != name:
            raise InputError(
                f'the classes "{other}" and "{name}" of "{root}" differ only in how they are '
                "written; make one of them, or give them different names."
            )


def _read_in_utf8(name: str) -> str:
    """The name that UTF-8 reads in the bytes of a file name, where the locale reads none."""
    if sys.getfilesystemencoding().lower() in ("utf-8", "utf8"):
        return ""
    with suppress(UnicodeDecodeError):
        return os.fsencode(name).decode("utf-8")
    return ""


IMAGE_FOLDER = Component(
    "image_folder",
    build_image_folder,
    ImageFolderParams,
    "a folder of your own images: class folders, split folders or a table of labels",
    check,
)
