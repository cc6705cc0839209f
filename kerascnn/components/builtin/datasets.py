"""The built-in datasets."""

from kerascnn import Component, hookimpl
from kerascnn.components.builtin.downloaded import KERAS_DATASETS, OXFORD_FLOWERS102, TF_FLOWERS
from kerascnn.components.builtin.image_folder import IMAGE_FOLDER
from kerascnn.components.builtin.parquet import PARQUET
from kerascnn.components.builtin.shapes import SHAPES
from kerascnn.components.builtin.tar_shards import TAR_SHARDS
from kerascnn.components.builtin.zip_file import ZIP_FILE


@hookimpl
def kerascnn_datasets() -> list[Component]:
    return [
        IMAGE_FOLDER,
        TAR_SHARDS,
        ZIP_FILE,
        PARQUET,
        TF_FLOWERS,
        OXFORD_FLOWERS102,
        KERAS_DATASETS,
        SHAPES,
    ]
