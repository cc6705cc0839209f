"""`kerascnn update`, from a run to a run like any other."""

import json
import shutil

import numpy as np
import pytest
import tomli_w
from PIL import Image

from kerascnn import InputError, load_experiment, predict_images, run_experiment, update_run
from kerascnn.engine.data.splits.divided import Divided
from kerascnn.engine.observer import Observer
from kerascnn.results.find import find_run
from kerascnn.tracking.model_registry import registered_run

pytestmark = pytest.mark.long  # each test trains networks

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
SETTINGS = {
    "name": "colours",
    "dataset": {
        "name": "image_folder",
        "path": "photos",
        "validation_fraction": 0.2,
        "test_fraction": 0.3,
    },
    "architecture": {"name": "sequential_cnn", "depth": 1, "filters": 4, "convolutions": 1},
    "training": {"image_size": 12, "batch_size": 8},
    "stages": [{"name": "scratch", "unfreeze": "all", "epochs": 4, "learning_rate": 1e-2}],
}


def write_images(folder, name, seeds):
    (folder / name).mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        noise = np.random.default_rng([seed, *COLOURS[name]]).integers(-60, 60, (12, 12, 3))
        pixels = np.clip(noise + COLOURS[name], 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{seed}.png")


@pytest.fixture(scope="module")
def run(shared_workplace, without_reports):
    write_images(shared_workplace / "photos", "red", range(12))
    write_images(shared_workplace / "photos", "green", range(12))
    file = shared_workplace / "colours.toml"
    file.write_text(tomli_w.dumps(SETTINGS))
    return run_experiment(load_experiment(file), Observer())


@pytest.fixture(scope="module")
def more(shared_workplace, run):
    folder = shared_workplace / "more"
    write_images(folder, "blue", range(6))
    write_images(folder, "red", range(12, 18))
    wrong = sorted((shared_workplace / "photos" / "red").iterdir())[0]
    (folder / "green").mkdir()
    shutil.copy(wrong, folder / "green" / "corrected.png")
    return folder


@pytest.fixture(scope="module")
def update(run, more):
    return update_run(run.run_id, more, Observer())


def split_of(result):
    images = Divided.read(result.folder)
    contents = (content.tobytes() for content in images.contents)
    return dict(zip(contents, images.splits.tolist(), strict=True))


def test_it_starts_warm_on_old_and_new_images(run, update):
    table = update.update
    assert (table["run"], table["start"]) == (run.run_id, "warm")
    assert update.stages[0]["epochs"] == 1
    assert update.class_names == ["green", "red", "blue"]
    assert table["classes"] == ["blue"]
    assert table["new"]["red"] == {"train": 3, "validation": 1, "test": 2}
    assert table["new"]["blue"] == {"train": 3, "validation": 1, "test": 2}
    assert [(one["before"], one["label"]) for one in table["relabelled"]] == [("red", "green")]
    assert table["new_tests"]["images"] == 4
    assert table["all_tests"]["images"] == update.test["images"]
    assert [side["name"] for side in table["by_class"]] == ["green", "red"]
    assert table["decisions"][0]["chosen"] == "warm"
    before, after = split_of(run), split_of(update)
    assert {content: after[content] for content in before} == before


def test_its_experiment_runs_alone_with_the_same_numbers(update):
    again = run_experiment(
        load_experiment(update.folder / "experiment.toml"), Observer(), fresh=True
    )
    assert again.stages[-1]["ended_sha256"] == update.stages[-1]["ended_sha256"]
    assert again.test == update.test
    assert {**again.update, "decisions": []} == {**update.update, "decisions": []}


def test_an_update_is_updated_and_registered(run, update, shared_workplace, more, run_cli):
    second = shared_workplace / "second"
    write_images(second, "blue", range(6, 12))
    asked = ("--data", second, "--start", "both", "--register", "colours@best", "--json")
    done = run_cli("update", update.run_id, *asked, "--set", "stages.scratch.epochs=3")
    document = json.loads(done.stdout)
    result = find_run(document["run_id"])
    assert result.update["run"] == update.run_id
    assert result.experiment["update"]["data"] == [str(more), str(second)]
    assert "the accuracy is" in result.update["decisions"][0]["why"]
    before, after = split_of(update), split_of(result)
    assert {content: after[content] for content in before} == before
    if document["registered"]:
        assert done.exit_code == 0
        assert registered_run("models:/colours@best") == result.run_id
    else:
        assert done.exit_code == 1
        assert "not registered: on" in done.stderr
    page = (result.folder / "report.html").read_text()
    assert f"This run updates run {update.run_id[:8]}." in page
    image = next((more / "blue").iterdir())
    (prediction,) = predict_images(result, image)
    assert {guess["label"] for guess in prediction.top} == set(COLOURS)


def test_what_cannot_be_updated(run, update, shared_workplace, more, run_cli):
    empty = shared_workplace / "flat"
    empty.mkdir()
    shutil.copy(next((more / "blue").iterdir()), empty)
    known = shared_workplace / "photos"
    cases = {
        (run.run_id,): "nothing is new: run",
        (update.run_id, "--data", more): "nothing is new: run",
        (run.run_id, "--data", known): "nothing is new: run",
        (run.run_id, "--data", empty): "but no class folders",
        (run.run_id, "--data", "nowhere"): 'there is no folder "nowhere"',
        (
            run.run_id,
            "--data",
            more,
            "--set",
            "stages.x.epochs=1",
        ): '--set stages.x.epochs: stages has no "x"',
    }
    for words, said in cases.items():
        done = run_cli("update", *words)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    (known / "red").rename(known / "crimson")
    try:
        with pytest.raises(InputError, match=r'class "red" of run .* is called "crimson" now'):
            update_run(run, more, Observer())
    finally:
        (known / "crimson").rename(known / "red")


def test_another_network_cannot_start_warm(run, more):
    with pytest.raises(InputError, match=r'has another network, with .*"anew" starts without'):
        update_run(run, more, Observer(), overrides={"architecture.filters": 8})
