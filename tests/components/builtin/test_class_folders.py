"""Class folders as they come: with what systems, archives and this program leave among them."""

import unicodedata

import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerascnn import InputError
from kerascnn.components.builtin.image_folder import IMAGE_FOLDER
from kerascnn.results import canvas
from kerascnn.runtime.image_files import KERASCNN_OUTPUT, mark

SPLITS = ("train", "validation", "test")
NFC, NFD = "Gänseblume", unicodedata.normalize("NFD", "Gänseblume")


def build(path, **params):
    return IMAGE_FOLDER.build(IMAGE_FOLDER.params(path=path, **params), seed=0)


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def write_classes(root, classes=("roses", "daisy"), count=5):
    write(root, *(f"{name}/{i}.jpg" for name in classes for i in range(count)))


def draw(file):
    canvas.save(canvas.Figure(), file, print)


def images(splits):
    sources = [getattr(splits, split) for split in SPLITS]
    return sorted(source[row][0] for source in sources for row in range(len(source)))


def test_what_is_ignored_is_counted(tmp_path):
    write_classes(tmp_path)
    write(tmp_path, "roses/a.mov", "roses/b.MOV", "roses/notes", "daisy/.hidden.jpg", ".git/a.jpg")
    write(tmp_path, "cover.jpg")
    splits = build(tmp_path)
    assert len(images(splits)) == 10
    assert splits.ignored == {
        ".mov files": 2,
        "suffixless files": 1,
        "images outside of the class folders": 1,
    }


def test_what_systems_leave_is_left_out_and_counted(tmp_path):
    write_classes(tmp_path)
    expected = images(build(tmp_path))
    write(
        tmp_path,
        "__MACOSX/roses/._0.jpg",
        "$RECYCLE.BIN/a.jpg",
        "System Volume Information/b.jpg",
        "lost+found/c.jpg",
        ".ipynb_checkpoints/d.jpg",
        "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg",
        "roses/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg",
        "roses/.ipynb_checkpoints/0-checkpoint.jpg",
        "roses/#recycle/1.jpg",
        "roses/._0.jpg",
        "daisy/._1.jpg",
        "daisy/Thumbs.db",
        "daisy/desktop.ini",
        "daisy/.DS_Store",
    )
    splits = build(tmp_path)
    assert images(splits) == expected
    assert splits.ignored == {
        "__MACOSX": 1,
        "$RECYCLE.BIN": 1,
        "System Volume Information": 1,
        "lost+found": 1,
        ".ipynb_checkpoints": 2,
        "@eaDir": 2,
        "#recycle": 1,
        "._*": 2,
        "Thumbs.db": 1,
        "desktop.ini": 1,
        ".DS_Store": 1,
    }


def test_leftovers_do_not_hide_split_folders(tmp_path):
    write_classes(tmp_path / "train")
    write(tmp_path, "__MACOSX/train/roses/._0.jpg", "train/._a.jpg", "train/@eaDir/b.jpg/c.jpg")
    assert build(tmp_path).class_names == ["daisy", "roses"]


def test_output_is_never_read_as_images(tmp_path):
    write_classes(tmp_path)
    expected = images(build(tmp_path))
    write(
        tmp_path,
        "kerascnn-runs/0a1b/confusion_matrix.png",
        "roses/mlruns/1/2/artifacts/confusion_matrix.png",
        "mlartifacts/1/2/artifacts/confusion_matrix.png",
        "roses/earlier/tracking.jsonl",  # a run that was moved
        "roses/earlier/confusion_matrix.png",
        "store/0/meta.yaml",  # a file store, named by MLFLOW_TRACKING_URI
        "store/1/2/artifacts/confusion_matrix.png",
        "tracking/mlflow.db",  # a database, named by it too
        "tracking/mlartifacts/1/2/artifacts/confusion_matrix.png",
        "cache/downloads/photos.unpacked/roses/1.jpg",
    )
    mark(tmp_path / "cache")
    draw(tmp_path / "daisy" / "lr-find-head.png")
    splits = build(tmp_path)
    assert images(splits) == expected
    assert splits.ignored == {KERASCNN_OUTPUT: 8}


@pytest.mark.parametrize("there", ["runs.db", "runs.db.lock"])
def test_the_folder_of_a_store_is_no_class_before_it_has_artifacts(tmp_path, monkeypatch, there):
    """Which a run makes while it reads its images."""
    write_classes(tmp_path)
    write(tmp_path, f"store/{there}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store' / 'runs.db'}")
    splits = build(tmp_path)
    assert splits.class_names == ["daisy", "roses"]
    assert splits.ignored == {KERASCNN_OUTPUT: 1}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///store/runs.db")
    assert build(".").class_names == ["daisy", "roses"]


def test_a_figure_in_a_split_folder_does_not_make_a_class_of_it(tmp_path):
    write_classes(tmp_path / "train")
    draw(tmp_path / "train" / "lr-find-head.png")
    assert build(tmp_path).class_names == ["daisy", "roses"]


def test_figures_of_other_programs_are_images(tmp_path):
    """Spectrograms, for instance."""
    write_classes(tmp_path)
    Figure().savefig(tmp_path / "roses" / "spectrogram.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "roses" / "image.png")
    assert len(images(build(tmp_path))) == 12


def test_a_class_whose_name_is_decomposed_is_the_composed_one(tmp_path):
    write_classes(tmp_path / "train", (NFD, "tulip"))
    write_classes(tmp_path / "test", (NFC, "tulip"))
    splits = build(tmp_path)
    assert splits.class_names == [NFC, "tulip"]
    assert len(splits.test) == 10


def test_both_forms_of_a_name_in_one_folder_are_refused(tmp_path):
    write_classes(tmp_path, (NFC, NFD, "tulip"))
    with pytest.raises(InputError, match=r"'G\\xe4nseblume'.*'Ga\\u0308nseblume'|Ga.*G\\xe4nse"):
        build(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "0 images but no class folders"),
        (["a.jpg", "b.jpg"], "2 images but no class folders"),
        (["roses/a.jpg", "roses/b.jpg"], 'only one class, "roses"; at least 2'),
        (["roses/a.jpg", "daisy/b.mov", "daisy/c.mov"], r"daisy.* has no .*only 2 \.mov"),
        (["roses/a.jpg", "daisy/.keep"], r"daisy.* has no images\. Expected"),
        (["roses/a.jpg", "daisy/b.jpg"], "too few"),
        (["train/a.jpg", "train/b.jpg"], 'only one class, "train"'),
        # out of a zip
        (
            ["photos/roses/a.jpg", "photos/daisy/b.jpg", "__MACOSX/a.jpg"],
            r'daisy, roses are the classes or splits, use ".*/photos" instead',
        ),
        (["a/a/train/roses/a.jpg", "a/a/test/roses/b.jpg"], r'test, train are .* use ".*/a/a"'),
        # as Kaggle lays them out
        (
            ["train/roses/a.jpg", "train/daisy/b.jpg", "test/1.jpg", "sample_submission.csv"],
            r'the images in ".*/test" .* predicted.* Use ".*/train" instead',
        ),
        (
            ["train/1.jpg", "test/2.jpg", "train.csv", "sample_submission.csv"],
            r'"train\.csv" contains the labels, set dataset\.labels.*--labels train\.csv`',
        ),
        (
            ["images/1.jpg", "images/2.jpg", "labels.csv"],
            r'"labels\.csv" contains the labels, set dataset\.labels',
        ),
    ],
)
def test_a_folder_that_is_no_dataset(tmp_path, names, message):
    write(tmp_path, *names)
    with pytest.raises(InputError, match=message):
        build(tmp_path)


@pytest.mark.parametrize(
    ("names", "inner"),
    [
        ([f"photos/{name}/{i}.jpg" for name in "ab" for i in range(5)], "photos"),
        ([f"train/{name}/{i}.jpg" for name in "ab" for i in range(5)] + ["test/1.jpg"], "train"),
    ],
)
def test_what_the_message_offers_works(tmp_path, names, inner):
    write(tmp_path, *names)
    with pytest.raises(InputError) as caught:
        build(tmp_path)
    assert f'use "{tmp_path / inner}" instead' in str(caught.value).replace("Use", "use")
    assert build(tmp_path / inner).class_names == ["a", "b"]
