"""The dataset that `init` writes for what it is given."""

import pytest
from sharding import in_folders, samples, write_parquet, write_tar, write_zip

from kerascnn import InputError
from kerascnn.components.registry import load_registry
from kerascnn.run.init import folder_dataset


def written(path, **options):
    arguments = {"follow_links": False, "labels": None, **options}
    return folder_dataset(path, registry=load_registry(), **arguments)


def test_a_folder_of_shards_and_an_archive_have_their_datasets(tmp_path):
    write_tar(tmp_path / "shards" / "a.tar", samples(12))
    write_zip(tmp_path / "a.zip", in_folders(12))
    (tmp_path / "table").mkdir()
    write_parquet(tmp_path / "table" / "a.parquet", 12)
    assert written(tmp_path / "shards")["name"] == "tar_shards"
    assert written(tmp_path / "a.zip")["name"] == "zip_file"
    assert written(tmp_path / "table")["name"] == "parquet"


def test_images_beside_archives_are_a_folder_of_images(tmp_path):
    write_tar(tmp_path / "backup.tar", samples(2))
    for name, content in in_folders(12):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert written(tmp_path)["name"] == "image_folder"


def test_a_table_of_labels_is_for_folders(tmp_path):
    archive = write_zip(tmp_path / "a.zip", in_folders(2))
    with pytest.raises(InputError, match="--labels and --follow-links are for image_folder"):
        written(archive, labels=tmp_path / "labels.csv")
