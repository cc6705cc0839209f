"""A folder of one's own pictures as a dataset."""

import csv
import os
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from pydantic import Field

from kerascnn import Component, InputError, Splits, did_you_mean
from kerascnn.builtin.content_split import (
    FOLLOWED,
    Labelled,
    SplitParams,
    leads_out,
    split_pictures,
)

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".avif"}
SUFFIXES |= {".tif", ".tiff", ".ppm", ".pgm"}
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
LAYOUT = (
    "Expected a folder for each class with its pictures in it, or the folders train, validation "
    "and test with such folders in them, or a CSV file of the columns path and label, named by "
    "`labels`."
)


class ImageFolderParams(SplitParams):
    """A folder of pictures."""

    path: Path = Field(
        description="The folder, relative to the working directory; ~ is the home folder. In it, "
        "a folder for each class, or the folders train, validation (or val, valid) and test of "
        "such folders; of these, validation and test are drawn from train where they are missing."
    )
    labels: Path | None = Field(
        None,
        description="A CSV file, relative to `path`, of the columns path (relative to `path` too), "
        "label and, if given, split (train, validation or test), instead of class folders.",
    )
    follow_links: bool = Field(
        False,
        description="Whether links in the folder to pictures and folders elsewhere are read; else "
        "each is an error.",
    )
    only_test: bool = Field(
        False,
        description="Whether all pictures are to test by, as `kerascnn evaluate` takes a folder; "
        "nothing can be trained on them.",
    )


def build_image_folder(params: ImageFolderParams, *, seed: int) -> Splits:
    root = _root(params.path)
    ignored: Counter[str] = Counter()
    within = Path(root.anchor) if params.follow_links else root
    if params.labels:
        found = _read_table(root, within, params.labels)
    else:
        found = _read_folders(root, params.follow_links, ignored)
    if params.only_test:
        found = {"test": list(chain.from_iterable(found.values()))}
    _check_names(root, {label for pictures in found.values() for _, label in pictures})
    if not params.only_test:
        _check_classes(root, found)
    return split_pictures(root, within, found, params, ignored)


def _root(path: Path) -> Path:
    try:
        root = path.expanduser().resolve()
        is_folder = root.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no such home, a zero
        raise InputError(f"cannot look for the folder {str(path)!r}: {error}") from error
    if not is_folder:
        near = _near(root.name, (entry.name for entry in _entries(root.parent) if entry.is_dir()))
        raise InputError(f'there is no folder "{path}" (looked for {root}).{near} {LAYOUT}')
    return root


def _check_classes(root: Path, found: Mapping[str, Sequence[Labelled]]) -> None:
    names = {label for _, label in found["train"]}
    if len(names) < 2:
        raise InputError(f'"{root}" has pictures of {names} alone, expected two classes. {LAYOUT}')
    for split, pictures in found.items():
        for name in sorted({label for _, label in pictures} - names):
            raise InputError(
                f'the class "{name}" of the {split} split of "{root}" has no picture in the train '
                f"split.{_near(name, names)} The classes there: {', '.join(sorted(names))}."
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
        other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
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


def _read_folders(root: Path, follow: bool, ignored: Counter[str]) -> dict[str, list[Labelled]]:
    folders = [path for path in _entries(root) if _is_folder(path, follow)]
    splits = {folder: _split_of(folder) for folder in folders}
    given = [split for split in splits.values() if split]
    if not given:
        found = {"train": _read_classes(root, follow, ignored)}
    elif len(given) < len(splits) or len(set(given)) < len(given) or "train" not in given:
        names = ", ".join(folder.name for folder in folders)
        raise InputError(f'cannot tell splits from classes in "{root}": {names}. {LAYOUT}')
    else:
        found = {
            split: _read_classes(folder, follow, ignored)
            for folder, split in splits.items()
            if split
        }
    return found


def _split_of(folder: Path) -> str | None:
    """A folder with pictures right in it is a class: "train" may be one of vehicles."""
    if any(_is_picture(path) for path in _entries(folder)):
        return None
    return SPLIT_NAMES.get(folder.name.lower())


def _read_classes(folder: Path, follow: bool, ignored: Counter[str]) -> list[Labelled]:
    loose = sum(_is_picture(path) for path in _entries(folder))
    classes = [path for path in _entries(folder) if _is_folder(path, follow)]
    if not classes:
        raise InputError(f'"{folder}" has {loose} pictures and no class folders. {LAYOUT}')
    if loose:
        ignored["pictures outside of the class folders"] += loose
    labelled = []
    for class_folder in classes:
        others: Counter[str] = Counter()
        pictures = list(_walk(class_folder, follow, others))
        if not pictures:
            there = f" (there are {_count(others)})" if others else ""
            raise InputError(
                f'the class folder "{class_folder}" has no pictures{there}; expected files with '
                f"the suffixes {' '.join(sorted(SUFFIXES))}. Convert them, or remove the folder."
            )
        labelled += [(path, class_folder.name) for path in pictures]
        ignored.update(others)
    return labelled


def _walk(folder: Path, follow: bool, others: Counter[str]) -> Iterator[Path]:
    for path in _entries(folder):
        if _is_picture(path):
            yield path  # or something else that is called so, which will be told with its fault
        elif _is_folder(path, follow):
            yield from _walk(path, follow, others)
        else:
            others[f"{path.suffix.lower() or 'suffixless'} files"] += 1


def _entries(folder: Path) -> list[Path]:
    """The visible files and folders, by name."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f'cannot look into "{folder}": {error}.') from error


def _is_folder(path: Path, follow: bool) -> bool:
    if path.is_symlink() and path.is_dir():
        if not follow:
            raise InputError(f'"{path}" is a link to a folder, which {FOLLOWED}.')
        if any(path.samefile(parent) for parent in path.parents):
            raise InputError(f'"{path}" is a link to a folder that it lies in itself: remove it.')
    return path.is_dir()


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _read_table(root: Path, within: Path, labels: Path) -> dict[str, list[Labelled]]:
    table = root / labels.expanduser()
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = list(reader.fieldnames or [])
            _check_columns(table, columns)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        near = _near(table.name, (path.name for path in _entries(table.parent)))
        raise InputError(f'cannot read `labels`, "{table}": {error}.{near}') from error
    found = defaultdict(list)
    for line, row in rows:
        split, picture = _read_row(root, within, f'"{table}", line {line}', row)
        found[split].append(picture)
    _check_files(table, [path for pictures in found.values() for path, _ in pictures])
    if "train" not in found:
        raise InputError(f'"{table}" has {len(rows)} rows and none to train on. {LAYOUT}')
    return dict(found)


def _check_columns(table: Path, columns: Sequence[str]) -> None:
    if set(columns) not in ({"path", "label"}, {"path", "label", "split"}):
        raise InputError(
            f'"{table}" has the columns {", ".join(columns) or "(none)"}; expected path, label '
            "and, if given, split, separated by commas."
        )


def _read_row(root: Path, within: Path, place: str, row: Mapping[str, str]) -> tuple[str, Labelled]:
    if None in row or not all(row.values()):
        raise InputError(f"{place}: expected a value in each column, got {list(row.values())}.")
    path = root / row["path"]
    if "\0" in row["path"] or not Path(_normal(path)).is_relative_to(root):
        raise InputError(f'{place}: "{row["path"]}" leads out of "{root}".')
    if leads_out(path, within):
        raise InputError(f'{place}: "{row["path"]}" is a link out of "{root}", which {FOLLOWED}.')
    split = SPLIT_NAMES.get(row.get("split", "train").strip().lower())
    if split is None:
        raise InputError(f'{place}: split "{row["split"]}"; expected train, validation or test.')
    return split, (path, row["label"].strip())


def _check_files(table: Path, paths: Sequence[Path]) -> None:
    for path, count in Counter(map(_normal, paths)).items():
        if count > 1:
            raise InputError(f'"{table}" names "{path}" {count} times; expected each file once.')
    missing = [path for path in paths if not path.is_file()]
    if missing:
        near = _near(missing[0].name, (path.name for path in _entries(missing[0].parent)))
        raise InputError(
            f'"{table}": {len(missing)} of {len(paths)} files are missing; the first is '
            f'"{missing[0]}".{near}'
        )


def _normal(path: Path) -> str:
    """One text for a file, however the way to it is written."""
    return os.path.normpath(path)


def _count(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counter.most_common())


def _near(name: str, candidates: Iterable[str]) -> str:
    return did_you_mean(name, set(candidates) - {name})


IMAGE_FOLDER = Component(
    "image_folder",
    build_image_folder,
    ImageFolderParams,
    "a folder of your own pictures: class folders, split folders or a CSV file",
)
