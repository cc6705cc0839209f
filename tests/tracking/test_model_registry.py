"""MLflow's registry: the model of a run under a name, on a database and on a server."""

import json
from functools import partialmethod

import pytest
from mlflow import MlflowClient

from kerascnn import load_experiment, run_experiment
from kerascnn.components.builtin.shapes import SHAPES
from kerascnn.errors import InputError
from kerascnn.results.find import find_run
from kerascnn.results.lookup import runs_folder
from kerascnn.tracking.model_registry import register_run, registered_run
from kerascnn.tracking.store import tracking_uri


def register(result, name=None, alias=None):
    return register_run(result.run_id, name or result.name, alias)


@pytest.fixture(scope="module")
def place(shared_workplace):
    """A working directory with the experiment."""
    (shared_workplace / "shapes.toml").write_text(
        'name = "shapes"\n'
        'dataset = { name = "shapes", classes = 2, train = 16, validation = 8, test = 8 }\n'
        'architecture = { name = "sequential_cnn", depth = 2, filters = 4 }\n'
        "training = { image_size = 16, batch_size = 8 }\n"
        'stages = [{ name = "all", unfreeze = "all", epochs = 1, learning_rate = 1e-3 }]\n'
    )
    return shared_workplace


@pytest.fixture(scope="module")
def runs(place, without_reports):
    experiment = load_experiment("shapes.toml")
    return [run_experiment(experiment) for _ in range(2)]


@pytest.fixture(scope="module")
def images(place):
    from PIL import Image

    test = SHAPES.build(SHAPES.params(classes=2, test=20), seed=0).test
    for index in range(len(test)):
        pixels, label = test[index]
        file = place / "images" / ["circle", "square"][label] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return place / "images"


def test_the_alias_names_the_run_and_moves(runs):
    first, second = runs
    registered = register(first, alias="champion")
    assert (registered.name, registered.version) == ("shapes", 1)
    assert registered.uri == "models:/shapes@champion"
    assert find_run("models:/shapes@champion").run_id == first.run_id
    assert register(second, alias="champion").version == 2
    assert find_run("models:/shapes@champion").run_id == second.run_id
    assert find_run("models:/shapes/1").run_id == first.run_id


def test_registering_again_makes_no_other_version(runs):
    registered = [register(runs[0], name="twice") for _ in range(2)]
    assert [(model.version, model.uri) for model in registered] == [(1, "models:/twice/1")] * 2


def test_mlflow_loads_what_is_registered(runs):
    import mlflow

    register(runs[0], name="for_mlflow", alias="champion")
    mlflow.set_registry_uri(tracking_uri())
    mlflow.set_tracking_uri(tracking_uri())
    loaded = mlflow.keras.load_model("models:/for_mlflow@champion")
    assert loaded.count_params() == runs[0].parameters


def test_commands_take_it(runs, images, run_cli):
    registered = run_cli("register", runs[0].run_id, "--name", "cli", "--alias", "best", "--json")
    document = json.loads(registered.stdout)
    assert document["uri"] == "models:/cli@best"
    assert document["run_id"] == runs[0].run_id
    [image, *_] = images.rglob("*.png")
    by_alias = run_cli("predict", "models:/cli@best", image, "--json")
    by_id = run_cli("predict", runs[0].run_id, image, "--json")
    assert by_alias.exit_code == 0
    assert json.loads(by_alias.stdout) == json.loads(by_id.stdout)
    evaluated = run_cli("evaluate", "models:/cli/1", "--data", images, "--json")
    assert json.loads(evaluated.stdout)["images"] == 20


def test_another_folder_fetches_it(runs, tmp_path, monkeypatch):
    uri = f"sqlite:///{runs_folder().parent / 'mlflow.db'}"
    register(runs[0], name="elsewhere", alias="champion")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    fetched = find_run("models:/elsewhere@champion")
    assert fetched.run_id == runs[0].run_id
    assert fetched.folder.parent == runs_folder()
    assert fetched.model.count_params() == runs[0].parameters


def test_a_run_is_found_among_more_than_the_store_gives_at_once(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{runs_folder().parent / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    one = partialmethod(MlflowClient.search_runs, max_results=1)
    monkeypatch.setattr(MlflowClient, "search_runs", one)
    assert {find_run(run.run_id).run_id for run in runs} == {run.run_id for run in runs}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("models:/", "expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/shapes", "expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/nothing@champion", "nothing"),
        ("models:/shapes@nobody", "nobody"),
        ("models:/shapes/99", "99"),
    ],
)
def test_what_is_not_there_is_an_error_of_the_input(runs, reference, message):
    register(runs[0])
    with pytest.raises(InputError, match=message):
        registered_run(reference)


@pytest.mark.parametrize("name", ["a/b", "a:b", "it's"])
def test_so_is_a_name_that_cannot_be(runs, name):
    with pytest.raises(InputError, match="registry"):
        register(runs[0], name=name, alias="v1")
