"""Where an update has its images from."""

import pytest
from PIL import Image

from kerascnn import InputError, load_experiment
from kerascnn.engine.folder_images import joined_names, labelled_by, read_folder


def test_a_folder_of_classes_is_read_whatever_its_splits(shapes_file, workplace):
    for name in ("train/a/1.png", "train/b/2.png", "test/c/3.png", "notes.txt"):
        file = workplace / "more" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(file, "PNG")
    found = read_folder(workplace / "more", load_experiment(shapes_file))
    assert found.class_names == ("a", "b", "c")
    source = labelled_by(found.source, found.class_names, ("b", "z", "a", "c"))
    labels = [(path.name, label) for path, label in (source[row] for row in range(3))]
    assert sorted(labels) == [("1.png", 2), ("2.png", 0), ("3.png", 3)]
    assert source.known.labels == [label for _, label in labels]
    assert source.fingerprint != found.source.fingerprint
    assert labelled_by(found.source, found.class_names, ("a", "b", "c")) is found.source


def test_new_classes_come_after_the_others():
    assert joined_names(("b", "a"), ("a", "c"), "more") == ("b", "a", "c")
    with pytest.raises(InputError, match='has the class "A", which differs from "a" in case'):
        joined_names(("b", "a"), ("A",), "more")
