"""The files that a dataset in shards names: by folders, globs and braces."""

import glob
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from pydantic import Field

from kerascnn import InputError, Shard, SplitParams, did_you_mean, local_shard, split_named

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
    if list(files) == ["train"]:
        files = _by_names(files["train"])
    twice = {file for file in files["train"] for split in files if split != "train"} & {
        file for split, of_split in files.items() if split != "train" for file in of_split
    }
    if twice:
        raise InputError(
            f'"{min(twice)}" is in two splits: correct dataset.path, dataset.validation or '
            "dataset.test."
        )
    names = _names(list(chain.from_iterable(files.values())))
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


def expand_braces(pattern: str) -> Iterator[str]:
    """Expands {000..099} and {a,b}, as shells do."""
    braces = re.search(r"\{([^{}]*,[^{}]*|\d+\.\.\d+)\}", pattern)
    if not braces:
        yield pattern
        return
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    if "," in braces[1]:
        choices: Sequence[str] = braces[1].split(",")
    else:
        first, last = braces[1].split("..")
        width = len(first) if first.startswith("0") or len(first) == len(last) else 0
        choices = [str(number).zfill(width) for number in range(int(first), int(last) + 1)]
    for choice in choices:
        yield from expand_braces(f"{before}{choice}{after}")


def _by_names(files: Sequence[Path]) -> dict[str, list[Path]]:
    """The files by the splits that their names, or those of their folders, say."""
    said = {file: _split_said(name) for file, name in _names(files).items()}
    if "train" not in said.values() or set(said.values()) == {"train"}:
        return {"train": list(files)}
    if unclear := [file.name for file, split in said.items() if split is None]:
        raise InputError(
            f'cannot tell the split of "{unclear[0]}", while other files are named for one. Set '
            "dataset.path, dataset.validation and dataset.test to patterns."
        )
    return {
        split: [file for file in files if said[file] == split]
        for split in dict.fromkeys(("train", *said.values()))
        if split
    }


def _split_said(name: str) -> str | None:
    words = re.split(r"[^a-z]+", name.lower())
    return next(filter(None, map(split_named, words)), None)


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """Each file relative to the folder that all are in."""
    parents = [file.parent for file in files]
    root = parents[0]
    while not all(parent.is_relative_to(root) for parent in parents):
        root = root.parent
    return {file: file.relative_to(root).as_posix() for file in files}
