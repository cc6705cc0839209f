"""Class folders in a zip archive."""

import zipfile

import pytest
from sharding import encoded, in_folders, listed, write_zip

from kerascnn import InputError
from kerascnn.components.builtin.zip_file import ZIP_FILE


def build(path):
    return ZIP_FILE.build(ZIP_FILE.params(path=path), seed=0)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_images_are_those_of_the_folders(tmp_path, method):
    archive = write_zip(tmp_path / "pets.zip", in_folders(12, root="pets/"), method)
    splits = build(archive)
    assert splits.class_names == ["cat", "dog"]
    every = [*listed(splits.train), *listed(splits.validation), *listed(splits.test)]
    assert sorted(every, key=lambda one: one[0][-8:]) == [
        (f"pets.zip/pets/{('cat', 'dog')[n % 2]}/{n:04d}.png", encoded(n), n % 2) for n in range(12)
    ]


def test_what_macos_adds_is_ignored_and_images_beside_the_folders_are_counted(tmp_path):
    files = {**dict(in_folders(12)), "__MACOSX/cat/._0000.png": b"", "loose.png": encoded(99)}
    ignored = build(write_zip(tmp_path / "a.zip", files)).ignored
    assert ignored == {"__MACOSX": 1, "images outside of the class folders": 1}


def spoiled(path, at, by):
    content = bytearray(path.read_bytes())
    content[at : at + len(by)] = by
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:900]),
            "file is not a zip.*write it again",
        ),
        (lambda path: spoiled(path, 100, b"xxxxx"), r'"cat/0000.png" is damaged\. It was cut off'),
        (
            lambda path: write_zip(path, in_folders(2), zipfile.ZIP_LZMA),
            "compressed by method 14; only stored and deflated files are read.*zip -0",
        ),
        (lambda path: path.unlink(), "no such file, nor any that matches"),
    ],
)
def test_an_archive_that_cannot_be_used_says_what_to_do(tmp_path, spoil, said):
    path = write_zip(tmp_path / "a.zip", in_folders(2))
    spoil(path)
    with pytest.raises(InputError, match=said):
        build(path)
