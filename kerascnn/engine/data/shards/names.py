"""Which files the names of shards mean: braces, and the splits that names say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from kerascnn.engine.data.splits.splitting import split_named
from kerascnn.errors import InputError

File = TypeVar("File")


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


def splits_by_name(names: Mapping[File, str]) -> dict[str, list[File]]:
    """The files by the splits that their names say, such as "birds-val-03.tar".

    All are under "train" if no name says train, or each does.

    Raises:
        InputError: Some names say a split, others none.
    """
    said = {file: _said(name) for file, name in names.items()}
    if "train" not in said.values() or set(said.values()) == {"train"}:
        return {"train": list(names)}
    if unclear := [names[file] for file, split in said.items() if split is None]:
        raise InputError(
            f'cannot tell the split of "{unclear[0]}", while other files are named for one. Set '
            "dataset.path, dataset.validation and dataset.test to patterns."
        )
    return {
        split: [file for file in names if said[file] == split]
        for split in dict.fromkeys(("train", *said.values()))
        if split
    }


def _said(name: str) -> str | None:
    words = re.split(r"[^a-z]+", name.lower())
    return next(filter(None, map(split_named, words)), None)
