"""Images in tar files: found, labelled, split, and read where they are."""

import gzip
import tarfile

import numpy as np
import pytest
from pydantic import ValidationError
from sharding import encoded, in_folders, listed, samples, write_tar

from kerascnn import InputError
from kerascnn.components.builtin.image_folder import IMAGE_FOLDER
from kerascnn.components.builtin.tar_shards import TAR_SHARDS
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.pack import pack

SPLITS = ("train", "validation", "test")


def build(path, **params):
    return TAR_SHARDS.build(TAR_SHARDS.params(path=path, **params), seed=0)


def sizes(splits):
    return [len(getattr(splits, split)) for split in SPLITS]


def shards(folder, count=3, images=10, **options):
    for number in range(count):
        files = samples(images, first=images * number, **options)
        write_tar(folder / f"train-{number:03d}.tar", files)
    return folder


def test_the_text_beside_an_image_is_its_class(tmp_path):
    splits = build(shards(tmp_path))
    assert splits.class_names == ["cat", "dog"]
    assert sum(sizes(splits)) == 30
    assert min(sizes(splits)) >= 2
    every = [one for split in SPLITS for one in listed(getattr(splits, split))]
    assert sorted(every) == [
        (f"train-{n // 10:03d}.tar/{n:04d}.png", encoded(n), n % 2) for n in range(30)
    ]


def test_images_are_read_in_any_order_and_at_once(tmp_path):
    train = build(shards(tmp_path)).train
    rows = [5, 0, len(train) - 1, 5]
    assert train.__getitems__(rows) == [train[row] for row in rows]


def test_numbers_are_classes_in_their_order(tmp_path):
    assert build(shards(tmp_path, labels=(10, 2, 0))).class_names == ["0", "2", "10"]


def test_a_file_of_class_names_says_what_numbers_stand_for(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("ant\nbee\n")
    splits = build(shards(tmp_path, labels=(1, 0)), class_names=names)
    assert splits.class_names == ["ant", "bee"]
    with pytest.raises(InputError, match='the label "2" is none of the 2 class names'):
        build(shards(tmp_path, labels=(1, 2)), class_names=names)


def test_a_field_of_the_json_beside_an_image_is_its_class(tmp_path):
    folder = shards(tmp_path, label="json")
    assert build(folder, label="json:about.species").class_names == ["cat", "dog"]
    with pytest.raises(InputError, match=r'no field "about.kind".* It has species'):
        build(folder, label="json:about.kind")


def test_a_usual_field_is_found(tmp_path):
    files = {}
    for number in range(12):
        files[f"{number}.jpg"] = encoded(number, format="JPEG")
        files[f"{number}.json"] = b'{"caption": "x", "label": %d}' % (number % 2)
    assert build(write_tar(tmp_path / "a.tar", files)).class_names == ["0", "1"]


def test_without_labels_the_folder_is_the_class(tmp_path):
    tar = write_tar(tmp_path / "a.tar", in_folders(20, root="photos/"))
    splits = build(tar)
    assert splits.class_names == ["cat", "dog"]
    assert {name.split("/")[2] for name, *_ in listed(splits.train)} == {"cat", "dog"}


def test_split_folders_in_a_tar_are_the_splits(tmp_path):
    files = {}
    for number, split in enumerate(("train", "val", "test")):
        files |= in_folders(8, root=f"data/{split}/", first=8 * number)
    splits = build(write_tar(tmp_path / "a.tar", files))
    assert sizes(splits) == [8, 8, 8]
    assert {name.split("/")[2] for name, *_ in listed(splits.validation)} == {"val"}


def test_names_of_shards_are_the_splits(tmp_path):
    for number, split in enumerate(("train", "val", "test")):
        write_tar(tmp_path / f"birds-{split}-00.tar", samples(6, first=6 * number))
    assert sizes(build(tmp_path)) == [6, 6, 6]
    (tmp_path / "birds-val-00.tar").rename(tmp_path / "birds-other.tar")
    with pytest.raises(InputError, match=r'split of "birds-other\.tar"'):
        build(tmp_path)


def test_patterns_are_the_splits(tmp_path):
    shards(tmp_path, count=4)
    splits = build(
        tmp_path / "train-{000..001}.tar",
        validation=tmp_path / "train-002.*",
        test=(tmp_path / "train-003.tar",),
    )
    assert sizes(splits) == [20, 10, 10]
    with pytest.raises(InputError, match=r"train-002\.tar.* is in two splits"):
        build(tmp_path / "*.tar", validation=tmp_path / "train-002.tar")


def test_a_shard_is_read_again_only_when_it_has_changed(tmp_path, monkeypatch):
    folder, opened = shards(tmp_path, count=2), []
    before = build(folder).train.fingerprint
    real = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda *a, **b: opened.append(1) or real(*a, **b))
    assert build(folder).train.fingerprint == before
    assert not opened
    monkeypatch.undo()
    write_tar(folder / "train-001.tar", samples(10, first=50))
    assert build(folder).train.fingerprint != before


def test_an_image_in_a_folder_and_in_a_tar_is_packed_once(tmp_path):
    files = dict(in_folders(20))
    for name, content in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    folder = IMAGE_FOLDER.build(IMAGE_FOLDER.params(path=tmp_path / "folder"), seed=0)
    tar = build(write_tar(tmp_path / "a.tar", files))
    packed = pack(folder.train, Preparation(16))
    again = pack(tar.train, Preparation(16))
    assert (packed.made, again.made) == (len(folder.train), 0)
    order = [
        sorted(range(len(one)), key=lambda row: one.contents[row].tobytes())
        for one in (packed, again)
    ]
    assert np.array_equal(packed.images[order[0]], again.images[order[1]])
    assert again.name(0).startswith("a.tar/")


def test_what_is_no_image_is_counted(tmp_path):
    files = dict(samples(12)) | {"0000.txt": b"a caption", "._0001.png": b"", "readme": b""}
    assert build(write_tar(tmp_path / "a.tar", files)).ignored == {
        ".txt files": 1,
        "._*": 1,
        "suffixless files": 1,
    }


def truncated(path):
    path.write_bytes(path.read_bytes()[:3000])


def damaged(path):
    content = bytearray(path.read_bytes())
    at = content.index(b"0003.png")
    content[at : at + 40] = b"x" * 40
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncated, r'cannot read "a.tar": .*: download or write it again'),
        (damaged, r'cannot read "a.tar": the header at byte [\d,]+ is damaged.*write it again'),
        (lambda path: path.write_bytes(b""), '"a.tar" is empty: download or write it again'),
        (lambda path: path.write_bytes(b"<html>" * 99), 'cannot read "a.tar": .*write it again'),
        (
            lambda path: path.write_bytes(gzip.compress(path.read_bytes())),
            '"a.tar" is compressed with gzip.* Decompress it once with `gunzip`',
        ),
        (lambda path: write_tar(path, {"a.txt": b""}), "no images in a.tar: expected"),
        (
            lambda path: write_tar(path, {**dict(samples(3)), "9.png": encoded(9)}),
            'the image "9" in "a.tar" has no label: expected "9.cls"',
        ),
        (
            lambda path: write_tar(path, {"1.png": b"", "1.jpg": b"", "1.cls": b"1"}),
            r'the sample "1" in "a.tar" has 2 images .*dataset.image',
        ),
        (
            lambda path: write_tar(path, {"1.png": b"", "1.cls": b"\xff\xfe"}),
            '"a.tar/1.cls" must be a number or a class name in one line of UTF-8',
        ),
        (lambda path: write_tar(path, samples(9, labels="x")), "only one label, 'x'; at least 2"),
    ],
)
def test_a_tar_that_cannot_be_used_says_what_to_do(tmp_path, spoil, said):
    path = write_tar(tmp_path / "a.tar", samples(8))
    spoil(path)
    with pytest.raises(InputError, match=said):
        build(tmp_path)


def test_a_tar_cut_off_between_two_files_is_not_taken_for_whole(tmp_path):
    path = write_tar(tmp_path / "a.tar", samples(4))
    with tarfile.open(path) as tar:
        end = tar.getmembers()[-1].offset
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(InputError, match="ends without the mark of a whole tar"):
        build(tmp_path)


def test_all_faulty_shards_are_named(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.tar").write_bytes(b"")
    with pytest.raises(InputError, match=r'2 shards cannot be used:\s+"a.tar" is.*\s+"b.tar" is'):
        build(tmp_path)


def test_check_names_a_pattern_without_files(tmp_path):
    shards(tmp_path)
    params = TAR_SHARDS.params(path=tmp_path / "trian-{000..002}.tar")
    (fault,) = TAR_SHARDS.check(params, image_size=32).values()
    assert 'Did you mean "train-000.tar"?' in fault
    with pytest.raises(ValidationError):
        TAR_SHARDS.params(path=tmp_path, label="xml")
