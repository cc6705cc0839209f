"""The files that a dataset in shards names: by folders, globs and braces."""

import glob
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from pydantic import Field

from kerascnn import (
    InputError,
    Shard,
    SplitParams,
    did_you_mean,
    expand_braces,
    local_shard,
    splits_by_name,
)

Patterns = Path | tuple[Path, ...]


class ShardParams(SplitParams):
    """Files of many images each."""

    path: Patterns = Field(
        description="The files with the training images, relative to the TOML file: a folder, a "
        'file or a pattern such as "shards/train-{000..099}.tar" or "shards/train-*.tar", or an '
        "array of these. If names say train, val or test, they give the splits; otherwise "
        "validation and test are drawn from all."
    )
    validation: Patterns | None = Field(
        None, description="The files with the validation images; default by names, or drawn."
    )
    test: Patterns | None = Field(
        None, description="The files with the test images, in the same way."
    )


def shards_of(params: ShardParams, suffix: str) -> dict[str, list[Shard]]:
    """The shards of each split that is given, all under "train" where none is."""
    asked = {"train": params.path, "validation": params.validation, "test": params.test}
    files = {split: files_of(of, suffix, split) for split, of in asked.items() if of is not None}
    names = _names(list(chain.from_iterable(files.values())))
    if list(files) == ["train"]:
        files = splits_by_name(names)
    return {
        split: [local_shard(file, names[file]) for file in of_split]
        for split, of_split in files.items()
    }


def files_of(patterns: Patterns, suffix: str, split: str) -> list[Path]:
    """The files that patterns name, in order, each once."""
    found = dict.fromkeys(
        file
        for pattern in (patterns if isinstance(patterns, tuple) else (patterns,))
        for one in expand_braces(str(pattern.expanduser()))
        for file in _matching(one, suffix, "path" if split == "train" else split)
    )
    return list(found)


def _matching(pattern: str, suffix: str, key: str) -> Sequence[Path]:
    path = Path(pattern)
    if path.is_dir():
        found = sorted(file for file in path.rglob(f"*{suffix}") if not file.name.startswith("."))
    else:
        found = [path] if path.is_file() else sorted(map(Path, glob.glob(pattern, recursive=True)))
    if not found:
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        near = did_you_mean(path.name, [file.name for file in beside])
        what = f"no {suffix} files" if path.is_dir() else "no such file, nor any that matches"
        raise InputError(f'dataset.{key} = "{pattern}": {what} (from {Path.cwd()}).{near}')
    return [file.resolve() for file in found if file.is_file()]


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """Each file relative to the folder that all are in."""
    parents = [file.parent for file in files]
    root = parents[0]
    while not all(parent.is_relative_to(root) for parent in parents):
        root = root.parent
    return {file: file.relative_to(root).as_posix() for file in files}
