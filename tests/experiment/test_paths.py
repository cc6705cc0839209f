"""A relative path in a TOML starts from the TOML's folder, wherever the program was started."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from kerascnn import load_experiment
from kerascnn.components.registry import load_registry
from kerascnn.experiment.paths import read_from, written_to

PLUGIN = """
from pathlib import Path
from kerascnn import Component, NoParams, Params, hookimpl

class Own(Params):
    index: Path | None = None
    parts: tuple[Path, ...] = ()
    weights: str = "imagenet"

@hookimpl
def kerascnn_datasets():
    return [Component("indexed", lambda params, *, seed: None, Own)]
"""


@pytest.fixture
def write(tmp_path, shapes_experiment):
    """Writes project/photos.toml with that dataset."""

    def write(**dataset):
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        file = folder / "photos.toml"
        file.write_text(tomli_w.dumps(shapes_experiment | {"dataset": dataset}))
        return file

    return write


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A registry with a dataset whose parameters are a path, and a name or path."""
    (tmp_path / "indexed_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    return load_registry([EntryPoint("indexed", "indexed_plugin", "kerascnn")])


def unheard(said):
    raise AssertionError(said)


def load(file, *arguments):
    return load_experiment(file, *arguments, warn=unheard).settings.dataset.params


@pytest.mark.parametrize(
    ("standing", "read"),
    [("project", "photos"), (".", "project/photos"), ("elsewhere", "../project/photos")],
)
def test_a_path_starts_from_the_toml(write, tmp_path, monkeypatch, standing, read):
    file = write(name="image_folder", path="photos")
    for folder in ("project", standing):  # what there is where one stands is not meant
        (tmp_path / folder / "photos").mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / standing)
    assert load(file) == {"path": read}


def test_a_path_that_is_set_starts_from_the_working_directory(write, tmp_path, monkeypatch):
    file = write(name="image_folder", path="photos")
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(file, {"dataset.path": "mine"}) == {"path": "mine"}


def test_a_path_that_exists_in_the_working_directory_alone_still_works_and_is_told(
    write, tmp_path, monkeypatch
):
    file = write(name="image_folder", path="photos")
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match=r'dataset.path = "photos" is not in .*project; using'):
        experiment = load_experiment(file)
    assert experiment.settings.dataset.params == {"path": "photos"}


def read(**dataset):
    """The dataset's table as a TOML in project/ has it."""
    data = {"dataset": dataset}
    read_from(Path("project"), data, load_registry(), unheard)
    return data["dataset"]


@pytest.mark.parametrize("path", ["/data/photos", "~/photos"])
def test_a_path_that_is_not_relative_stays(path):
    assert read(name="image_folder", path=path)["path"] == path


def test_a_table_of_labels_stays_relative_to_the_images():
    assert read(name="image_folder", path="photos", labels="labels.csv") == {
        "name": "image_folder",
        "path": "project/photos",
        "labels": "labels.csv",
    }


def test_so_do_the_paths_of_a_plugin_and_what_is_a_name_stays_one(
    write, tmp_path, monkeypatch, plugin
):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "imagenet").mkdir()
    (tmp_path / "project" / "mine.h5").touch()
    named = {"name": "indexed", "weights": "imagenet"}
    data = {"dataset": {**named, "index": "i.csv", "parts": ["a", "/b"]}}
    monkeypatch.chdir(tmp_path)
    read_from(Path("project"), data, plugin, unheard)
    beside = {"index": "project/i.csv", "parts": ["project/a", "/b"]}
    assert data["dataset"] == {**named, **beside}
    written_to(Path("project"), data, plugin)
    assert data["dataset"]["parts"] == ["a", "/b"]
    data["dataset"]["parts"] = []
    for written, read in (("mine.h5", "project/mine.h5"), ("hub/mine.h5", "hub/mine.h5")):
        data = {"dataset": {"name": "indexed", "weights": written}}
        read_from(Path("project"), data, plugin, unheard)
        assert data["dataset"]["weights"] == read


@given(path=st.lists(st.sampled_from(["..", "a", "b c"]), min_size=1).map("/".join))
def test_what_is_written_to_a_folder_reads_the_same_from_there(path, registry):
    def dataset():
        return {"dataset": {"name": "image_folder", "path": path}}

    once, again = dataset(), dataset()
    read_from(Path("."), once, registry, unheard)
    written_to(Path("runs/1"), again, registry)
    read_from(Path("runs/1"), again, registry, unheard)
    assert again == once


def test_the_command_line_notes_it(run_cli, workplace, write):
    file = write(name="image_folder", path="photos")
    (workplace / "photos").mkdir()
    answer = run_cli("check", file)
    assert answer.exit_code == 2  # there are no images
    assert f"note: {file}: dataset.path = " in answer.stderr
