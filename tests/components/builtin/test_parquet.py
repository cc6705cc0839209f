"""Parquet files of images, as Hugging Face's datasets write them."""

import pytest
from sharding import encoded, listed, write_parquet

from kerascnn import InputError
from kerascnn.components.builtin.parquet import PARQUET


def build(path, **params):
    return PARQUET.build(PARQUET.params(path=path, **params), seed=0)


def three_files(folder):
    for number, split in enumerate(("train", "validation", "test")):
        write_parquet(folder / f"{split}-00000-of-00001.parquet", 20, first=20 * number)
    return folder


def test_files_of_splits_and_names_of_classes(tmp_path):
    splits = build(three_files(tmp_path))
    assert splits.class_names == ["cat", "dog"]
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [20, 20, 20]
    assert listed(splits.test) == [
        (f"test-00000-of-00001.parquet/{n}.png", encoded(n), n % 2) for n in range(40, 60)
    ]


def test_only_the_row_groups_of_the_images_are_read(tmp_path, monkeypatch):
    from pyarrow.parquet import ParquetFile

    train, read = build(three_files(tmp_path)).train, []
    real = ParquetFile.read_row_group
    monkeypatch.setattr(
        ParquetFile, "read_row_group", lambda self, *a: read.append(a[0]) or real(self, *a)
    )
    assert train.__getitems__([9, 8, 15])[0][0] == encoded(9)
    assert read == [1]


def test_columns_that_are_missing_are_said(tmp_path):
    with pytest.raises(
        InputError, match=r'no column "labels2".* Did you mean "label".*label_column'
    ):
        build(three_files(tmp_path), label_column="labels2")
    with pytest.raises(InputError, match=r'"label" of .* has int64, not the bytes of image files'):
        build(three_files(tmp_path), image_column="label")


def test_a_file_that_was_cut_off_says_what_to_do(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", 8)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r'cannot read "a\.parquet": .* write it again'):
        build(path)
