"""Corrected labels: found by path, applied to labels alone, and all faults in one message."""

import numpy as np
import pytest
from PIL import Image

from kerascnn.engine.data.hygiene.corrections import image_names, table_paths
from kerascnn.engine.kept import Kept
from kerascnn.engine.load import load_data, load_pooled, trained_on
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import bind_experiment


@pytest.fixture
def photos(tmp_path):
    for number in range(30):
        image = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path


@pytest.fixture
def load(photos, registry, shapes_experiment):
    def load(table=None, how=load_data, **training):
        dataset = {"name": "image_folder", "path": str(photos / "photos")}
        if table is not None:
            file = photos / "labels.csv"
            file.write_bytes(table if isinstance(table, bytes) else table.encode())
            dataset["corrections"] = str(file)
        shapes_experiment["training"].update(training)
        experiment = bind_experiment({**shapes_experiment, "dataset": dataset}, registry)
        return how(experiment, Observer())

    return load


def labels_of(data):
    return {
        split.name(row).split("/")[-1]: data.class_names[split.labels[row]]
        for split in data.splits().values()
        for row in range(len(split))
    }


def test_a_corrected_label_changes_its_split_s_labels_and_nothing_else(load):
    before = load()
    after = load("path,label\na/4.png,b\n")
    assert labels_of(after) == labels_of(before) | {"4.png": "b"}
    changed = [
        old.key != new.key and old.fingerprint != new.fingerprint
        for old, new in zip(before.splits().values(), after.splits().values(), strict=True)
    ]
    assert sum(changed) == 1
    for old, new in zip(before.splits().values(), after.splits().values(), strict=True):
        assert np.array_equal(old.contents, new.contents)  # no image changed its split
        assert new.made == 0


def test_only_rows_whose_label_was_edited_count(load):
    before = load()
    same = load("path,label,suggested,score,given\na/4.png,a,b,0.9,a\nb/5.png,b,a,0.8,b\n")
    assert [of.key for of in same.splits().values()] == [of.key for of in before.splits().values()]
    edited = load("path,label,suggested,score,given\na/4.png,b,b,0.9,a\nb/5.png,b,a,0.8,b\n")
    assert labels_of(edited) == labels_of(before) | {"4.png": "b"}


@pytest.mark.parametrize(
    "table",
    [
        "path;label\nphotos/a/4.png;b\n",
        "path\tlabel\r\n4.png\tb\r\n".encode("utf-16"),
        b"\xef\xbb\xbfpath,label\na\\4.png, b\n",
    ],
)
def test_tables_as_spreadsheets_write_them(load, table):
    assert labels_of(load(table))["4.png"] == "b"


def test_an_image_without_a_label_is_left_out(load):
    before, after = load(), load("path,label,given\na/4.png,,a\n")
    assert labels_of(after) == {n: c for n, c in labels_of(before).items() if n != "4.png"}
    skipped = [why for of in after.splits().values() for why in of.skipped]
    assert "4.png: has no label in" in skipped[0]


def test_all_faults_are_in_one_message(load, photos):
    table = "path,label\na/44.png,b\na/4.png,c\na/6.png,b\na/6.png,a\n"
    with pytest.raises(InputError) as error:
        load(table)
    said = str(error.value)
    assert '3 lines cannot be applied in "' in said
    assert 'line 2: no image "a/44.png". Did you mean "a/4.png"?' in said
    assert 'line 3: no class "c".' in said
    assert 'line 5: "a/6.png" has another label in an earlier line' in said
    (photos / "photos" / "b" / "4.png").write_bytes((photos / "photos/a/4.png").read_bytes())
    with pytest.raises(InputError, match=r'"4\.png" could be 2 images'):
        load("path,label\n4.png,b\n", on_duplicate="allow")
    with pytest.raises(InputError, match='no column "label"'):
        load("path,class\n4.png,b\n")
    with pytest.raises(InputError, match=r"cannot read dataset\.corrections"):
        load(b"path,label\n\xff.png,b\n")


def test_pooled_images_and_those_of_all_splits_are_corrected_too(load):
    table = "path,label\n" + "".join(f"a/{number}.png,b\n" for number in range(4, 12, 2))
    pooled = load(table, load_pooled)
    assert pooled.images.labels.sum() == 15 + 4
    counts = load(table, lambda e, o: trained_on(load_data(e, o), e, Kept()), train_on="all",
                  keep="last").class_counts()  # fmt: skip
    assert counts["train"].tolist() == [11, 19]


def test_images_without_a_path_are_named_by_their_content(registry, shapes_experiment, tmp_path):
    data = load_data(bind_experiment(shapes_experiment, registry), Observer())
    name = image_names(data.train)[3]
    assert name == data.train.contents[3].tobytes().hex()[:16]
    (tmp_path / "labels.csv").write_text(f"path,label\n{name},{data.class_names[1]}\n")
    shapes_experiment["dataset"]["corrections"] = str(tmp_path / "labels.csv")
    after = load_data(bind_experiment(shapes_experiment, registry), Observer())
    expected = data.train.labels.copy()
    expected[3] = 1
    assert np.array_equal(after.train.labels, expected)


def test_paths_in_a_table_leave_out_the_folders_that_all_share():
    assert table_paths(["/x/y/a/1.png", "/x/y/b/1.png"]) == ["a/1.png", "b/1.png"]
    assert table_paths(["/x/1.png", "/x/y/1.png", "c0ffee"]) == ["1.png", "y/1.png", "c0ffee"]
