"""`image_folder`: a folder of images as a dataset."""

import hashlib
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

LEAST_SAMPLED = 10
"""Images of a class in a split that a sample has, if there are as many."""


class ImageFolderParams(SplitParams, TableParams):
    """A folder of images."""

    path: Path = Field(
        description="The folder, relative to the TOML file; ~ is the home folder. It contains "
        "one folder per class, or the folders train, validation (or val, valid) and test with such "
        "class folders; validation and test are drawn from train if they are missing."
    )
    follow_links: bool = Field(
        False,
        description="Whether links in the folder to images and folders elsewhere are followed; "
        "otherwise each is an error.",
    )
    sample: int | None = Field(
        None,
        ge=1,
        description="At most about this many images, those of each class and split in proportion, "
        "but at least ten; a hash of their paths decides. Default all.",
    )
    only_test: bool = Field(
        False,
        description="Whether all images are test images, as in `kerascnn evaluate`; such a dataset "
        "cannot be trained on.",
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
    if params.sample:
        found = sampled(found, root, params.sample)
    return split_files(root, found, params, follow_links=follow_links, ignored=folders.ignored)


def sampled(
    found: Mapping[str, Sequence[Labelled]], root: Path, count: int
) -> dict[str, list[Labelled]]:
    """About `count` of the images, those of each class and split in proportion."""
    share = count / max(1, sum(map(len, found.values())))
    return {split: list(_sampled(images, root, share)) for split, images in found.items()}


def _sampled(images: Sequence[Labelled], root: Path, share: float) -> Iterator[Labelled]:
    classes: dict[str, list[Labelled]] = {}
    for image in images:
        classes.setdefault(image[1], []).append(image)

    def position(image: Labelled) -> bytes:
        return hashlib.sha256(os.fsencode(image[0].relative_to(root).as_posix())).digest()

    for of_class in classes.values():
        count = max(LEAST_SAMPLED, round(share * len(of_class)))
        yield from sorted(of_class, key=position)[:count]


def check(params: ImageFolderParams, *, image_size: int) -> dict[str, str]:
    """Faults of the folder and of the table of labels: {key: fault}."""
    try:
        root = _root(params.path)
    except InputError as error:
        return {"path": str(error).rstrip(".")}
    if params.labels and not (root / params.labels.expanduser()).is_file():
        return {"labels": f"no such file in {root}"}
    return {}


def _root(path: Path) -> Path:
    try:
        root = path.expanduser().resolve()
        is_folder = root.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # name too long, unknown home, NUL
        raise InputError(f"cannot read the folder {str(path)!r}: {error}") from error
    if not is_folder:
        others = (entry.name for entry in entries_of(root.parent) if entry.is_dir())
        raise InputError(
            f'there is no folder "{path}" (resolved to {root}).{near(root.name, others)} {LAYOUT}'
        )
    return root


def _check_classes(root: Path, found: Mapping[str, Sequence[Labelled]], hint: str) -> None:
    names = {label for _, label in found["train"]}
    if len(names) < 2:
        raise InputError(
            f'"{root}" has images of only one class, "{", ".join(names)}"; at least 2 are needed.'
            f"{hint or f' {LAYOUT}'}"
        )
    for split, images in found.items():
        for name in sorted({label for _, label in images} - names):
            raise InputError(
                f'the class "{name}" in the {split} split of "{root}" has no images in the train '
                f"split.{near(name, names)} Its classes are {', '.join(sorted(names))}."
            )


def _check_names(root: Path, names: Iterable[str]) -> None:
    """Raises InputError for names that a line of text or another system cannot represent."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            if read := _read_in_utf8(name):
                raise InputError(
                    f'cannot read the name of the class "{read}" in "{root}": the locale decodes '
                    f"file names as {sys.getfilesystemencoding()}. Set PYTHONUTF8=1, or a UTF-8 "
                    "locale such as LC_ALL=C.UTF-8."
                )
            raise InputError(
                f'the name of the class {name!r} in "{root}" is not one line of UTF-8 text; '
                "rename the class."
            )
        other = seen.setdefault(nfc(name).casefold(), name)
        if other != name:
            raise InputError(
                f'the classes "{other}" and "{name}" in "{root}" differ only in case or spelling; '
                "merge them, or give them different names."
            )


def _read_in_utf8(name: str) -> str:
    """A file name decoded as UTF-8, if the locale uses another encoding; else ""."""
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
