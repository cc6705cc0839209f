"""`parquet`: Parquet files with a column of image files."""

from pydantic import Field

from kerascnn import Component, InputError, Splits
from kerascnn.components.builtin.shard_files import ShardParams, shards_of


class ParquetParams(ShardParams):
    """Parquet files of images."""

    image_column: str = Field(
        "",
        description="The column of the image files: bytes, or a struct with `bytes`. Default "
        "`image`, `img` and the like.",
    )
    label_column: str = Field(
        "",
        description="The column of the labels: numbers, or class names. Default `label`, `labels`, "
        "`class` and the like. Hugging Face's files have the names of the numbers.",
    )


def build_parquet(params: ParquetParams, *, seed: int) -> Splits:
    from kerascnn import ParquetFormat, shard_splits

    how = ParquetFormat(params.image_column, params.label_column)
    return shard_splits(shards_of(params, ".parquet"), how, params)


def check(params: ParquetParams, *, image_size: int) -> dict[str, str]:
    """Faults of the files: {key: fault}."""
    try:
        shards_of(params, ".parquet")
    except InputError as error:
        return {"path": str(error)}
    return {}


PARQUET = Component(
    "parquet",
    build_parquet,
    ParquetParams,
    "Parquet files of images and labels, as Hugging Face's datasets write them",
    check,
)
