"""The splits of a dataset in shards: given by shards or by folders in them, or drawn by content."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from kerascnn.engine.data.shards.classes import class_names_of, folder_layout
from kerascnn.engine.data.shards.index import ShardIndex, index_shards
from kerascnn.engine.data.shards.labels import FOLDER
from kerascnn.engine.data.shards.shard import Shard, ShardFormat
from kerascnn.engine.data.shards.source import ShardImages
from kerascnn.engine.data.sources.source import Known, Subset
from kerascnn.engine.data.splits.content_split import SplitParams, check_filled, drawn_rows
from kerascnn.errors import InputError
from kerascnn.hookspecs import Splits
from kerascnn.runtime.text import abbreviated

_LOOSE = "images outside of the class folders"


def shard_splits(
    shards: Mapping[str, Sequence[Shard]],
    how: ShardFormat,
    params: SplitParams,
    class_names: Sequence[str] | None = None,
) -> Splits:
    """Makes a dataset of shards; splits that are missing are drawn from "train" by content.

    Args:
        shards: By split; all under "train" where folders in the shards, or nothing, gives splits.
        how: The format of the shards.
        params: The shares of validation and test where these are drawn, and the seed of the draw.
        class_names: What labels that are numbers stand for, from 0; default the numbers.

    Raises:
        InputError: A shard that cannot be read, labels that make no classes, or an empty split.
    """
    _refuse_shared(shards)
    every = [shard for of_split in shards.values() for shard in of_split]
    indexes = index_shards(every, how)
    _check_labelled(every, indexes)
    lengths = iter(map(len, indexes))
    splits = [split for split in shards for _ in shards[split] for _ in range(next(lengths))]
    texts = [label for index in indexes for label in index.labels]
    ignored = sum((Counter(index.ignored) for index in indexes), Counter[str]())
    if indexes[0].labelled == FOLDER:
        layout = folder_layout(set(texts), with_splits=[*shards] == ["train"])
        splits = [layout[text][0] or split for text, split in zip(texts, splits, strict=True)]
        texts = [layout[text][1] for text in texts]
        ignored[_LOOSE] = texts.count("")
    names, labels = class_names_of(texts, splits, class_names)
    source = ShardImages(every, how, indexes, labels)
    return _divided(source, splits, names, params, +ignored)


def _divided(
    source: ShardImages,
    splits: Sequence[str],
    class_names: Sequence[str],
    params: SplitParams,
    ignored: Mapping[str, int],
) -> Splits:
    """The splits of the images with a label, of which `splits` has those that are given."""
    given = {split: number for number, split in enumerate(dict.fromkeys(splits))}
    numbers = np.fromiter((given[split] for split in splits), np.int64, len(splits))
    labels = np.array(source.labels)
    numbers[labels < 0] = -1
    rows = {split: np.flatnonzero(numbers == number) for split, number in given.items()}
    if params.shares(rows):
        hashes, train = list(source.hashes()), rows["train"]
        drawn = drawn_rows(
            Subset(source, train.tolist()),
            [hashes[row] for row in train],
            labels[train].tolist(),
            params,
            rows,
        )
        rows |= {split: train[chosen] for split, chosen in drawn.items()}
    check_filled(rows)
    contents = np.frombuffer(source.known.contents, np.uint8).reshape(-1, 32)
    sources = {}
    for split, chosen in rows.items():
        files = np.zeros(len(chosen), np.bool_)
        known = Known(contents[chosen].tobytes(), labels[chosen], files)  # type: ignore[arg-type]
        sources[split] = Subset(source, chosen, known.fingerprint, known)  # type: ignore[arg-type]
    return Splits(**sources, class_names=class_names, ignored=dict(ignored))


def _refuse_shared(shards: Mapping[str, Sequence[Shard]]) -> None:
    seen: dict[Shard, str] = {}
    for split, of_split in shards.items():
        for shard in of_split:
            if (first := seen.setdefault(shard, split)) != split:
                raise InputError(
                    f'"{shard.name}" is in two splits, {first} and {split}: correct dataset.path, '
                    "dataset.validation or dataset.test."
                )


def _check_labelled(shards: Sequence[Shard], indexes: Sequence[ShardIndex]) -> None:
    both = list(zip(shards, indexes, strict=True))
    if empty := [shard.name for shard, index in both if not len(index)]:
        raise InputError(
            f"no images in {abbreviated(empty)}: expected files such as KEY.jpg. Leave such files "
            "out of dataset.path."
        )
    kinds = {index.labelled: shard.name for shard, index in both}
    if len(kinds) > 1:
        said = ", ".join(f'by {kind} in "{name}"' for kind, name in kinds.items())
        raise InputError(
            f"the images are labelled in different ways, {said}. Set dataset.label to the one that "
            "all files have."
        )
