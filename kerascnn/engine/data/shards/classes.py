"""The classes that the labels in shards make, and what folders in them mean."""

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from kerascnn.engine.data.splits.splitting import split_named
from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.text import abbreviated, nfc

_NEEDED = (
    "Expected KEY.cls beside each image KEY.jpg, a field of KEY.json that dataset.label names, or "
    "a folder of images for each class."
)


def folder_layout(folders: Collection[str], *, with_splits: bool) -> dict[str, tuple[str, str]]:
    """The split, "" if not said, and the class of the images in each folder, "" if it has none.

    The folders that contain all others do not count. With `with_splits`, folders such as train and
    val may contain the class folders.
    """
    parts = {folder: PurePosixPath(folder).parts for folder in folders if folder not in ("", ".")}
    shared = _shared(list(parts.values()))
    inner = {folder: of_folder[shared:] for folder, of_folder in parts.items()}
    splits = {folder: split_named(names[0]) for folder, names in inner.items()}
    given = with_splits and "train" in splits.values() and all(splits.values())
    deep = given and all(len(names) > 1 for names in inner.values())
    layout = dict.fromkeys(folders, ("", ""))
    for folder, names in inner.items():
        layout[folder] = (splits[folder] or "", nfc(names[1])) if deep else ("", nfc(names[0]))
    return layout


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """How many leading folders all paths share, besides the last folder of each."""
    count = 0
    while paths and all(len(path) > count + 1 and path[count] == paths[0][count] for path in paths):
        count += 1
    return count


def class_names_of(
    texts: Sequence[str], splits: Sequence[str], given: Sequence[str] | None
) -> tuple[list[str], list[int]]:
    """The class names, and the class index of each image; -1 for one that has no label.

    Args:
        texts: The label of each image, "" if it has none.
        splits: Of each image.
        given: What labels that are numbers stand for.
    """
    said = {text: _named(text, given) for text in set(texts) if text}
    found = {split: set[str]() for split in dict.fromkeys(splits)}
    for text, split in zip(texts, splits, strict=True):
        if text:
            found[split].add(said[text])
    names = _ordered(found["train"], given)
    if len(names) < 2:
        raise InputError(
            f"the images have {'no labels' if not names else f'only one label, {names[0]!r}'}; at "
            f"least 2 classes are needed. {_NEEDED}"
        )
    for split, here in found.items():
        for name in sorted(here - set(names)):
            raise InputError(
                f'the class "{name}" of the {split} images has no images in the train split.'
                f"{did_you_mean(name, names)} Its classes are {abbreviated(names)}."
            )
    numbers = {name: number for number, name in enumerate(names)}
    indices = {text: numbers[name] for text, name in said.items()} | {"": -1}
    return names, [indices[text] for text in texts]


def _named(text: str, given: Sequence[str] | None) -> str:
    if given is None or text in given:
        return nfc(text)
    if not text.isdecimal() or int(text) >= len(given):
        raise InputError(
            f'the label "{text}" is none of the {len(given)} class names of dataset.class_names, '
            f"nor a number from 0 to {len(given) - 1}.{did_you_mean(text, given)}"
        )
    return given[int(text)]


def _ordered(names: Collection[str], given: Sequence[str] | None) -> list[str]:
    """By their order in `given`, as numbers if all are, else by the alphabet."""
    if given is not None:
        return [name for name in given if name in names]
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)
