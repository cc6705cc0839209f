"""`tar_shards`: images in tar files, as WebDataset writes them."""

from pathlib import Path

from pydantic import Field

from kerascnn import Component, InputError, Splits, TarParams
from kerascnn.components.builtin.shard_files import ShardParams, shards_of


class TarShardsParams(ShardParams, TarParams):
    """Tar files of images."""

    class_names: Path | None = Field(
        None,
        description="A text file with a class name in each line, which labels that are numbers "
        "stand for, from 0.",
    )


def build_tar_shards(params: TarShardsParams, *, seed: int) -> Splits:
    from kerascnn import TarFormat, shard_splits

    shards, names = shards_of(params, ".tar"), _class_names(params.class_names)
    return shard_splits(shards, TarFormat(params.label, params.image), params, names)


def _class_names(file: Path | None) -> list[str] | None:
    if file is None:
        return None
    try:
        return file.expanduser().read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f'cannot read dataset.class_names, "{file}": {error}.') from error


def check(params: TarShardsParams, *, image_size: int) -> dict[str, str]:
    """Faults of the files: {key: fault}."""
    try:
        shards_of(params, ".tar")
    except InputError as error:
        return {"path": str(error)}
    try:
        _class_names(params.class_names)
    except InputError as error:
        return {"class_names": str(error)}
    return {}


TAR_SHARDS = Component(
    "tar_shards",
    build_tar_shards,
    TarShardsParams,
    "tar files of images and labels, as WebDataset writes them, or of class folders",
    check,
)
