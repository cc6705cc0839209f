"""`zip_file`: class folders in a zip archive, which is not unpacked."""

from pathlib import Path

from pydantic import Field

from kerascnn import Component, InputError, SplitParams, Splits, local_shard
from kerascnn.components.builtin.shard_files import files_of


class ZipFileParams(SplitParams):
    """A zip archive of images."""

    path: Path = Field(
        description="The archive, relative to the TOML file. It contains one folder per class, or "
        "the folders train, validation (or val, valid) and test with such class folders."
    )


def build_zip_file(params: ZipFileParams, *, seed: int) -> Splits:
    from kerascnn import ZipFormat, shard_splits

    shards = [local_shard(file) for file in files_of(params.path, ".zip", "train")]
    return shard_splits({"train": shards}, ZipFormat(), params)


def check(params: ZipFileParams, *, image_size: int) -> dict[str, str]:
    """Faults of the archive: {key: fault}."""
    try:
        files_of(params.path, ".zip", "train")
    except InputError as error:
        return {"path": str(error)}
    return {}


ZIP_FILE = Component(
    "zip_file",
    build_zip_file,
    ZipFileParams,
    "class folders, or split folders, in a zip archive",
    check,
)
