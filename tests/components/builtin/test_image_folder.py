"""A person's own images: found, labelled, split by their content."""

import os
import shutil

import pytest
from PIL import Image, ImageOps
from pydantic import ValidationError

from kerascnn import InputError
from kerascnn.components.builtin.image_folder import IMAGE_FOLDER
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.hygiene.copies import near_pairs
from kerascnn.engine.data.store.pack import pack

SPLITS = ("train", "validation", "test")


def build(path, **params):
    return IMAGE_FOLDER.build(IMAGE_FOLDER.params(path=path, **params), seed=0)


def write(root, *names, start=0):
    """Files with a content of their own; what they contain is only looked at later."""
    for number, name in enumerate(names, start):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"image {number}".encode())


def write_classes(root, count=100, classes=("roses", "daisy"), start=0):
    write(root, *(f"{name}/{i:03d}.jpg" for name in classes for i in range(count)), start=start)


def split_of(splits, root):
    """Relative path to (split, class name)."""
    return {
        path.relative_to(root).as_posix(): (split, splits.class_names[label])
        for split in SPLITS
        for path, label in list_of(getattr(splits, split))
    }


def list_of(source):
    return [source[i] for i in range(len(source))]


def sizes(splits):
    return [len(getattr(splits, split)) for split in SPLITS]


def test_class_folders(tmp_path):
    write_classes(tmp_path)
    splits = build(tmp_path)
    assert splits.class_names == ["daisy", "roses"]
    found = split_of(splits, tmp_path)
    assert len(found) == 200
    assert all(path.startswith(label) for path, (_, label) in found.items())
    assert sizes(splits) == [160, 20, 20]
    for split in SPLITS:
        labels = [label for _, label in list_of(getattr(splits, split))]
        assert labels.count(0) == labels.count(1)


def test_a_new_class_moves_no_image_and_new_images_move_few(tmp_path):
    write_classes(tmp_path)
    before = split_of(build(tmp_path), tmp_path)
    write_classes(tmp_path, 150, ("tulips",), start=1000)
    write(tmp_path, *(f"roses/new{i}.jpg" for i in range(5)), start=2000)
    after = split_of(build(tmp_path), tmp_path)
    assert len(after) == 355
    moved = [path for path in before if after[path] != before[path]]
    assert len(moved) <= 2 * 5
    assert all(path.startswith("roses/") for path in moved)


def test_neither_the_name_nor_the_seed_of_the_experiment_moves_a_image(tmp_path):
    write_classes(tmp_path)
    before = split_of(build(tmp_path), tmp_path)
    for path in tmp_path.glob("*/*.jpg"):
        path.rename(path.with_stem(f"z{path.stem}"))
    after = split_of(IMAGE_FOLDER.build(IMAGE_FOLDER.params(path=tmp_path), seed=7), tmp_path)
    assert {path.replace("/z", "/"): split for path, split in after.items()} == before


def test_another_split_seed_draws_another_split(tmp_path):
    write_classes(tmp_path)
    one, two = (split_of(build(tmp_path, split_seed=seed), tmp_path) for seed in (0, 1))
    assert sum(one[path] != two[path] for path in one) > 40


def test_the_test_split_does_not_depend_on_the_validation_fraction(tmp_path):
    write_classes(tmp_path)
    one, two = (build(tmp_path, validation_fraction=f) for f in (0.1, 0.5))
    assert list_of(one.test) == list_of(two.test)
    assert len(one.validation) < len(two.validation)


def test_copies_join_their_originals_and_move_nothing(tmp_path):
    write_classes(tmp_path)
    before = split_of(build(tmp_path), tmp_path)
    for path in list(tmp_path.glob("*/*.jpg")):
        (path.parent / f"copy_of_{path.name}").write_bytes(path.read_bytes())
    found = split_of(build(tmp_path), tmp_path)
    assert len(found) == 400
    assert all(found[path] == before[path.replace("copy_of_", "")] for path in found)


def test_copies_that_differ_in_their_notes_alone_stay_together(tmp_path):
    for name in ("roses", "daisy"):
        (tmp_path / name).mkdir()
        for number in range(30):
            colour = (number * 8, 255 * (name == "daisy"), 99)
            Image.new("RGB", (8, 8), colour).save(tmp_path / name / f"{number}.jpg")
    before = split_of(build(tmp_path), tmp_path)
    for path in list(tmp_path.glob("*/*.jpg")):
        content = path.read_bytes()
        note = b"\xff\xfe" + (9).to_bytes(2, "big") + b"a note!"
        path.with_stem(f"{path.stem}_tagged").write_bytes(content[:2] + note + content[2:])
    found = split_of(build(tmp_path), tmp_path)
    assert len(found) == 120
    assert all(found[path] == before[path.replace("_tagged", "")] for path in found)
    assert len({split for split, _ in before.values()}) == 3


NEAR = {
    "mirrored": lambda image: (ImageOps.mirror(image), 90),
    "half": lambda image: (image.reduce(2), 75),
    "saved": lambda image: (image, 50),
}


def write_photos(root, photo, count):
    """For each class so many photographs, each with a near copy of one of the kinds."""
    for number in range(2 * count):
        path = root / ("roses", "daisy")[number % 2] / f"{number // 2}.jpg"
        path.parent.mkdir(exist_ok=True)
        photo(number).save(path, quality=95)
        how = list(NEAR)[number // 2 % 3]
        copy, quality = NEAR[how](photo(number))
        copy.save(path.with_stem(f"{how}_{path.stem}"), quality=quality)


def test_near_copies_stay_together(tmp_path, photo):
    write_photos(tmp_path, photo, 9)
    splits = build(tmp_path, test_fraction=0.2, validation_fraction=0.2)
    found = split_of(splits, tmp_path)
    assert sizes(splits) == [20, 8, 8]
    for path, (split, label) in found.items():
        assert found[f"{label}/{path.rpartition('/')[2].rpartition('_')[2]}"] == (split, label)
    for size in (96, 224):
        packed = {split: pack(getattr(splits, split), Preparation(size)) for split in SPLITS}
        assert not near_pairs(packed)


def test_split_folders(tmp_path):
    for number, split in enumerate(("Train", "val", "test")):
        write_classes(tmp_path / split, 3, start=100 * number)
    splits = build(tmp_path)
    assert sizes(splits) == [6, 6, 6]
    assert all(path.parts[-3] == "val" for path, _ in list_of(splits.validation))


@pytest.mark.parametrize(("given", "drawn"), [("validation", "test"), ("test", "validation")])
def test_a_missing_split_is_drawn_from_train(tmp_path, given, drawn):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / given, 5, start=1000)
    splits = build(tmp_path)
    assert len(getattr(splits, given)) == 10
    assert 10 < len(getattr(splits, drawn)) < 60
    assert all("train" in path.parts for path, _ in list_of(getattr(splits, drawn)))


def test_train_alone_is_split(tmp_path):
    write_classes(tmp_path / "train")
    assert min(sizes(build(tmp_path))) > 10


def test_train_may_be_a_class(tmp_path):
    write_classes(tmp_path, 10, ("train", "car", "bus"))
    assert build(tmp_path).class_names == ["bus", "car", "train"]


@pytest.mark.parametrize(
    "folders", [("train", "roses"), ("val", "test"), ("train", "val", "valid")]
)
def test_what_may_be_splits_or_classes_is_refused(tmp_path, folders):
    for folder in folders:
        write_classes(tmp_path / folder, 3)
    with pytest.raises(InputError, match="cannot tell splits from classes"):
        build(tmp_path)


def test_a_class_that_is_not_trained_on_is_refused(tmp_path):
    write_classes(tmp_path / "train", 10)
    write_classes(tmp_path / "test", 3, ("roses", "daisies"), start=99)
    with pytest.raises(InputError, match=r'"daisies" in the test split .* Did you mean "daisy"'):
        build(tmp_path)


def test_images_below_a_class_folder_and_capital_suffixes_count(tmp_path):
    write_classes(tmp_path, 10)
    write(tmp_path, "roses/summer/a.JPG", "roses/summer/b.WebP", start=500)
    assert sum(sizes(build(tmp_path))) == 22


def given(splits):
    """Every image, or what is said instead of it."""
    for source in (splits.train, splits.validation, splits.test):
        for index in range(len(source)):
            try:
                yield source[index][0].name
            except InputError as error:
                yield str(error)


def test_links_lead_nowhere(tmp_path):
    root = tmp_path / "photos"
    write_classes(root, 10)
    (root / "roses" / "inside.jpg").symlink_to(root / "roses" / "000.jpg")
    assert sum(sizes(build(root))) == 21
    write(tmp_path, "outside.jpg")
    (root / "roses" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    said = [name for name in given(build(root)) if "link" in name]
    fault = f'"{root}/roses/link.jpg" is a link that leads out of "{root}", which is followed only'
    assert said == [
        f"{fault} with `follow_links = true` (--set dataset.follow_links=true; for init, "
        "--follow-links)"
    ]
    (root / "roses" / "link.jpg").unlink()
    (root / "tulips").symlink_to(root / "roses")
    with pytest.raises(InputError, match=r'tulips" is a link to a folder'):
        build(root)


def test_links_are_followed_where_the_experiment_says_so(tmp_path):
    """To images, class folders and split folders that lie elsewhere, as tools arrange them."""
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "photos"
    write_classes(elsewhere, 20)
    (root / "train").mkdir(parents=True)
    (root / "train" / "roses").symlink_to(elsewhere / "roses")
    (root / "train" / "lilies").mkdir()
    for image in sorted(p for p in elsewhere.glob("*/*") if p.parent.name != "roses"):
        (root / "train" / "lilies" / image.name).symlink_to(image)
    with pytest.raises(
        InputError, match=r"roses\" is a link to a folder, .* `follow_links = true`"
    ):
        build(root)
    followed, copied = build(root, follow_links=True), tmp_path / "copied"
    assert sum(sizes(followed)) == 40
    assert all(name.endswith(".jpg") for name in given(followed))
    shutil.copytree(root, copied)
    assert build(copied).train.fingerprint == followed.train.fingerprint

    (elsewhere / "roses" / "again").symlink_to(root / "train")
    with pytest.raises(InputError, match=r'roses/again" is a link to a folder that contains it'):
        build(root, follow_links=True)


def test_what_a_link_leads_to_outside_is_not_even_read(tmp_path):
    root = tmp_path / "photos"
    write_classes(root, 10)
    write(tmp_path, "outside.jpg")
    (root / "roses" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    before = build(root)
    (tmp_path / "outside.jpg").write_bytes(b"other")
    assert [getattr(before, split).fingerprint for split in SPLITS] == [
        getattr(build(root), split).fingerprint for split in SPLITS
    ]


def test_what_only_looks_like_a_image_is_left_to_whom_reads_it(tmp_path):
    write_classes(tmp_path, 10)
    (tmp_path / "roses" / "loop.jpg").symlink_to(tmp_path / "roses" / "loop.jpg")
    (tmp_path / "roses" / "gone.jpg").symlink_to(tmp_path / "roses" / "nothing")
    (tmp_path / "roses" / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "roses" / "pipe.jpg")  # to open it would wait for ever
    assert {"loop.jpg", "gone.jpg", "folder.jpg", "pipe.jpg"} <= set(given(build(tmp_path)))


def test_classes_that_differ_only_in_case_are_refused(tmp_path):
    write_classes(tmp_path, 5, ("Rose", "rose", "tulip"))
    with pytest.raises(InputError, match="differ only in case or spelling"):
        build(tmp_path)


@pytest.mark.parametrize("name", ["two\nlines", os.fsdecode(b"latin\xff"), "bell\a"])
def test_a_class_whose_name_is_no_line_of_text_is_refused(tmp_path, name):
    write_classes(tmp_path, 5, (name, "tulip"))
    with pytest.raises(InputError, match="is not one line of UTF-8 text") as caught:
        build(tmp_path)
    assert str(caught.value).isprintable()


def test_names_that_are_no_utf_8_and_differ_only_in_case_are_images(tmp_path):
    write_classes(tmp_path, 10)
    write(tmp_path, os.fsdecode(b"roses/a\xff.jpg"), "roses/b.jpg", "roses/B.JPG", start=900)
    before = build(tmp_path)
    assert sum(sizes(before)) == 23
    assert before.train.fingerprint == build(tmp_path).train.fingerprint


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "~nobody-of-this-name/x"])
def test_a_path_that_can_be_none(path):
    with pytest.raises(InputError, match=r"cannot read the folder|there is no folder"):
        build(path)


def test_the_fingerprint_follows_content_and_labels(tmp_path):
    for number, split in enumerate(SPLITS):
        write_classes(tmp_path / split, 3, start=100 * number)
    before = build(tmp_path)
    path = tmp_path / "train" / "roses" / "000.jpg"
    content = path.read_bytes()
    path.write_bytes(b"other")
    changed = build(tmp_path)
    path.write_bytes(content)
    assert build(tmp_path).train.fingerprint == before.train.fingerprint
    path.rename(tmp_path / "train" / "daisy" / "moved.jpg")
    moved = build(tmp_path)
    assert len({splits.train.fingerprint for splits in (before, changed, moved)}) == 3
    assert len({splits.test.fingerprint for splits in (before, changed, moved)}) == 1


def test_a_missing_folder(tmp_path):
    (tmp_path / "flowers").mkdir()
    with pytest.raises(InputError, match=r'no folder ".*/flower".*Did you mean "flowers"'):
        build(tmp_path / "flower")


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_classes(tmp_path / "photos", 10)
    assert sum(sizes(build("~/photos"))) == 20


def test_a_relative_path_holds_after_the_working_directory_changed(tmp_path, monkeypatch):
    write_classes(tmp_path / "photos", 10)
    monkeypatch.chdir(tmp_path)
    splits = build("photos")
    os.chdir("/")
    assert splits.train[0][0].is_file()


@pytest.mark.parametrize(
    "params",
    [
        {"validation_fraction": 0.5, "test_fraction": 0.5},
        {"test_fraction": 0},
        {"split_seed": -1},
        {"fraction": 0.1},
    ],
)
def test_parameters_are_checked(params):
    with pytest.raises(ValidationError):
        IMAGE_FOLDER.params(path=".", **params)


def test_a_sample_has_each_class_in_proportion_and_a_larger_one_contains_it(tmp_path):
    write_classes(tmp_path, 100, ("roses",))
    write_classes(tmp_path, 12, ("daisy",), start=1000)
    found = [split_of(build(tmp_path, sample=count), tmp_path) for count in (40, 80, 1000)]
    counts = [[name.partition("/")[0] for name in one] for one in found]
    assert [(names.count("roses"), names.count("daisy")) for names in counts] == [
        (36, 10),
        (71, 10),
        (100, 12),
    ]
    assert found[0].keys() < found[1].keys() < found[2].keys()
