"""The benchmarks still run, on data so small that their figures mean nothing."""

import csv
import json
import shutil
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.compilation import jit_compile
from kerascnn.runtime.devices import device_name

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Imports a script by its name, as its neighbours do."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module


@pytest.fixture
def benchmark(script, workplace):
    """Runs a script in this process and reads the one line that it prints."""

    def call(name, *arguments):
        words = [str(argument) for argument in arguments]
        ended = CliRunner().invoke(script(name).main, words, catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        (line,) = ended.stdout.splitlines()
        return json.loads(line)

    return call


@pytest.fixture
def photos(tmp_path):
    """Two class folders of ten images."""
    rng = np.random.default_rng(0)
    for label in ("left", "right"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.long  # loads a network twice
def test_wrong_labels(benchmark, photos):
    words = ["--architecture", "sequential_cnn", "--image-size", 16, "--seeds", 1]
    said = benchmark("labels", "--data", photos, *words)["data"]["photos"]
    assert set(said["average_precision"]) == {"5% random", "5% class", "10% random", "10% class"}
    assert 0 <= said["recall_at_top"]["10% random"]["kerascnn"] <= 1
    assert said["seconds"]["kerascnn"] > 0


@pytest.fixture(scope="module")
def beside(tmp_path_factory, fresh_database):
    """A run beside bare Keras: the seconds of both and the folder of the run."""
    folder = tmp_path_factory.mktemp("beside")
    shutil.copy(fresh_database, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        common, epoch = import_module("common"), import_module("epoch")
        whole = common.from_scratch("sequential_cnn", images=8, size=16, batch_size=4, epochs=2)
        tiny = {"depth": 1, "convolutions": 1, "filters": 4, "dense_units": []}
        experiment = {**whole, "architecture": {**whole["architecture"], **tiny}}
        return *common.beside(experiment, folder, epoch.fit_on_arrays(8, 4)), folder


@pytest.mark.long
def test_epochs_beside_bare_fit(beside):
    ours, bare, _ = beside
    assert len(ours) == len(bare) == 2  # the epoch that compiles is left out
    assert min(ours + bare) > 0


def test_what_the_scripts_read_of_a_run_is_there(script, beside):
    (file,) = beside[-1].glob("*/*/result.json")  # what `run --json` prints
    result = json.loads(file.read_text())
    figures = script("stages").figures_of({**result, "process_seconds": 1.0})
    assert figures["stages"][0]["fit_seconds"] > 0
    assert script("boundary").stage_of(result)["images_per_second"] > 0
    assert "head_dense" in script("stages").unfrozen(result)


@pytest.mark.backend
def test_the_synthetic_rival_takes_train_steps(script):
    import keras

    images = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(images)
    model = keras.Model(images, keras.layers.Dense(2, activation="softmax")(x))
    model.compile("adam", "categorical_crossentropy", jit_compile=jit_compile())
    epoch = script("gpu").steps_on_device(images=8, batch_size=4)(model)
    assert epoch() > 0
    assert epoch() > 0  # on JAX the state of the first has been given away


def test_without_a_gpu_nothing_is_measured(benchmark):
    backend = start_backend()
    if device_name().startswith("GPU"):
        pytest.skip("there is a GPU")
    figures = benchmark("gpu", "--one", "--network", "vgg16", "--backend", backend)
    assert (figures["measured"], figures["why"]) == (False, "no GPU")


def test_startup_beside_an_import(benchmark):
    figures = benchmark("startup", "--rounds", 1, "--only=import click", "--only=--help")
    assert figures["rows"].keys() == {"import click", "--help"}
    assert figures["ratios"]["--help by import click"] > 0


@pytest.mark.long  # starts six processes
def test_many_packages_beside_the_imports(benchmark):
    figures = benchmark("packages", "--packages", 2, "--rounds", 1)
    assert figures["processor_seconds"]["plugins"] > figures["processor_seconds"]["imports"]


def test_a_split_folder_has_each_image_once(script, photos, tmp_path):
    script("common").split_folder(photos, tmp_path / "splits", {"test": 0.2, "validation": 0.3})
    files = list(tmp_path.glob("splits/*/*/*.png"))
    assert len({file.read_bytes() for file in files}) == len(files) == 20
    counts = {
        split: len(list(tmp_path.glob(f"splits/{split}/left/*")))
        for split in ("train", "validation", "test")
    }
    assert counts == {"train": 5, "validation": 3, "test": 2}


def test_folds_find_what_one_test_split_cannot(script):
    power = script("folds").power
    assert power(0.06, 0.02, 300) < 0.3
    assert power(0.06, 0.02, 1500) > 0.8
    assert power(0.06, 0.0, 1500) < 0.05


def test_a_small_folder_is_judged_on_images_that_are_not_in_it(script, photos, tmp_path):
    table = script("drawn").write_table(tmp_path / "table.csv", photos, [6, 3], 4, 0)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len({row["path"] for row in rows}) == len(rows)
    counts = Counter((row["label"], row["split"]) for row in rows)
    assert counts == {
        ("left", "train"): 5,
        ("left", "validation"): 1,
        ("left", "test"): 4,
        ("right", "train"): 2,
        ("right", "validation"): 1,
        ("right", "test"): 4,
    }


def test_the_recall_of_the_smallest_class_is_told_over_all_seeds(script):
    right = [np.array([True, False, True]), np.array([True, True, False])]
    labels = [np.array([0, 1, 1]), np.array([0, 1, 1])]
    of = script("small_folders").of_the_fewest(right, labels, [9, 3])
    assert of["recall"] == 0.5
    assert of["interval"][0] < 0.5 < of["interval"][1]


def test_the_accuracy_as_uneven_as_a_small_folder_weights_the_recalls_by_its_counts(script):
    right, labels = np.array([True, True, False, True]), np.array([0, 0, 1, 1])
    of = script("small_folders").of_classes(right, labels, [9, 3])
    assert of == {"recalls": [1.0, 0.5], "accuracy_as_uneven": 0.875}


def test_an_update_adds_what_was_held_back_and_a_class(script, photos, tmp_path):
    update = script("update")
    update.copy_part(photos, tmp_path / "here", 5, seed=0)
    update.copy_images(photos / "left", tmp_path / "here" / "more" / "third", 4)
    counts = [
        len(list((tmp_path / "here").glob(f"{place}/*.png")))
        for place in ("photos/left", "photos/right", "more/left", "more/right", "more/third")
    ]
    assert counts == [7, 8, 3, 2, 4]


def test_ratios_count_packing_and_prefix(script):
    stage = {"prefix_seconds": 3.0, "fit_seconds": 2.0}
    ours = {"data_seconds": 5.0, "stages": [stage, {**stage, "prefix_seconds": 0.0}]}
    guide = {"head_seconds": 20.0, "finetune_seconds": 4.0}
    ratios = script("stages").compare({"cold": ours, "warm": ours, "guide": guide, "fastai": None})
    assert ratios == {
        "guide_head_by_cold": 2.0,
        "guide_by_cold": 2.0,
        "guide_head_by_warm": 4.0,
        "guide_by_warm": 24 / 7,
    }


def test_rows_are_expected_once_for_each_image_and_view(script):
    new_rows, known = script("common").new_rows, set()

    def stage(views, boundary="block"):
        return {"cache": {"boundary": boundary, "views": views}}

    images = {"train": {b"1", b"2"}, "validation": {b"3"}, "test": {b"4"}}
    assert new_rows(stage(0, "input"), images, known) == 0
    assert new_rows(stage(1), images, known) == 3
    assert new_rows(stage(4), images, known) == 4 * 2
    assert new_rows(stage(4), images, known) == 0
    more = {**images, "train": {b"1", b"3", b"5"}}
    assert new_rows(stage(4), more, known) == 4 * 2
    assert new_rows(stage(1), more, known) == 1


@pytest.mark.slow
def test_each_script_says_one_line(benchmark):
    size = ("--images", 8, "--image-size", 16, "--batch-size", 4, "--epochs", 1)
    figures = benchmark("epoch", "--network", "sequential_cnn", *size)["networks"]
    assert figures["sequential_cnn"]["ratio"] > 0
    backend = start_backend()
    gpu = benchmark("gpu", "--small", "--network", "sequential_cnn", "--backend", backend)
    for part in ("all", "last:1"):
        assert gpu["rows"][f"sequential_cnn, {part} on {backend}"]["ratio"] > 0
    assert benchmark("startup", "--rounds", 1)["ratios"]["check by import keras"] > 0


@pytest.mark.slow
def test_what_a_run_takes_around_its_work(benchmark, shapes_file):
    seconds = benchmark("around", shapes_file, "--rounds", 1)["seconds"]
    work = sum(seconds[part] for part in ("data", "prefix", "fit", "test"))
    assert seconds["around"] + work == pytest.approx(seconds["process"], abs=0.2)


@pytest.mark.slow
def test_an_experiment_run_again(script, benchmark, tmp_path, shapes_experiment):
    file = script("common").write_experiment(tmp_path, shapes_experiment)
    change = "stages.scratch.learning_rate=1e-2"
    figures = benchmark("rerun", "--experiment", file, "--change", change)
    assert figures["unchanged_equals_first"] is figures["changed_equals_fresh"] is True
    names = ("first", "unchanged", "changed", "fresh")
    assert [figures[name]["steps_trained"] for name in names] == [2, 0, 2, 2]


@pytest.mark.slow
def test_a_recipe_over_folds(script, benchmark, photos, tmp_path, shapes_experiment):
    recipe = {**shapes_experiment, "dataset": {"name": "image_folder"}}
    file = script("common").write_experiment(tmp_path, recipe)
    change = "stages.scratch.learning_rate=1e-2"
    options = ("--experiment", file, "--folds", 2, "--against", change)
    figures = benchmark("folds", "--data", photos, *options)
    assert (figures["total"], len(figures["folds"])) == (20, 2)
    assert 0 <= figures["accuracy"] <= 1
    assert figures["power"].keys() == {"apart", "of 20", "of 10"}


@pytest.mark.slow
def test_a_second_question_costs_what_is_new_in_it(script, benchmark, photos, tmp_path):
    pytest.importorskip("kerascnn_efficientnet_lite")  # its weights do not follow from the seed
    stage = {"epochs": 2, "learning_rate": 1e-3}
    recipe = {
        "name": "questions",
        "dataset": {"name": "image_folder"},
        "architecture": {"name": "efficientnet_lite0"},
        "augmentation": {"name": "light"},
        "training": {"image_size": 32, "batch_size": 4},
        "stages": [
            {"name": "head", "augmentation": False, **stage},
            {"name": "finetune", "unfreeze": "last:1", "views": 2, **stage},
        ],
    }
    file = script("common").write_experiment(tmp_path, recipe)
    figures = benchmark("questions", "--data", photos, "--experiment", file)
    assert figures["as_expected"]
    added = figures["runs"]["ten images added"]
    assert (added["packed"], added["made"]) == (10, 10 + 2 * 10)
    assert figures["runs"]["another seed"]["made"] == 0


@pytest.mark.slow
def test_an_augmentation_of_the_host_alone_and_in_stages(benchmark, photos):
    pytest.importorskip("kerascnn_albumentations")
    size = ("--image-size", 16, "--batch-size", 4, "--epochs", 2, "--rounds", 1)
    network = ("--network", "sequential_cnn", "--weights", "none")
    figures = benchmark("host_augmentation", "--data", photos, "--images", 10, *size, *network)
    assert min(figures["alone"].values()) > 0
    assert figures["stages"]["ratios"].keys() == {"epoch", "view"}


@pytest.mark.slow
def test_both_stages_beside_the_guide(benchmark, photos):
    pytest.importorskip("tensorflow")
    pytest.importorskip("kerascnn_efficientnet_lite")
    epochs = ("--head-epochs", 1, "--finetune-epochs", 1)
    figures = benchmark("stages", "--data", photos, "--image-size", 32, *epochs)
    assert figures["images"] == {"train": 12, "validation": 4, "test": 4}
    assert figures["ratios"]["guide_by_cold"] > 0


@pytest.mark.slow
def test_the_boundary_beside_the_whole_network(benchmark, photos):
    network = ("--network", "sequential_cnn", "--unfreeze", "last:1")
    figures = benchmark("boundary", "--data", photos, *network, "--image-size", 32, "--epochs", 1)
    assert figures["whole"]["prefix_seconds"] == 0
    assert figures["ratio"] > 0


@pytest.mark.slow
def test_memory_beside_its_estimate(benchmark):
    size = ("--image-size", 16, "--batch-size", 4)
    figures = benchmark("memory", "--network", "sequential_cnn", *size)
    assert figures["taken_bytes"] > 0
    assert figures["ratio"] == figures["taken_bytes"] / figures["estimate_bytes"]


@pytest.mark.slow
def test_images_in_few_files_beside_a_folder(benchmark):
    small = ("--images", 40, "--rounds", 1, "--seeds", 2, "--shapes", 60)
    figures = benchmark("sources", *small)
    assert set(figures["of_the_folder"]["image_folder"].values()) == {1}
    assert figures["of_the_folder"]["tar_shards"]["pack"] > 0
    assert set(figures["orders"]["accuracy"]) == {"full", "blocks"}


@pytest.mark.slow
def test_more_images_than_may_be_stored(benchmark):
    figures = benchmark("streaming", "--gb", 0.01, "--image-size", 16)
    [epoch] = figures["epochs"]
    assert 0.9 < epoch["of_the_images"] < 2  # the rest is a large part of so few
    assert 0 < epoch["resident_mb"] <= figures["resident_mb"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tar_shards", "image_folder"])
def test_what_an_image_costs_besides_its_pixels(benchmark, kind):
    figures = benchmark("scale", "--images", 100, "--images", 1000, "--kind", kind)["an_image"]
    assert set(figures["again"]) == {"source", "load", "examine", "blocks", "order", "images.npz"}
    assert figures["first"]["load"]["processor_us"] > figures["again"]["load"]["processor_us"]


@pytest.mark.long  # three processes that load a network
def test_two_processes_make_each_packed_image_and_activation_once(benchmark):
    """It fails if they, or one process, end with other bits."""
    small = ("--images", 160, "--image-size", 32, "--network", "sequential_cnn", "--rounds", 1)
    figures = benchmark("ranks", *small)
    for part in ("packing", "prefix"):
        first, second = figures[part]["rows_of_each"]  # on busy cores one may come too late
        assert first + second == 160


@pytest.mark.slow
def test_the_path_of_several_devices_with_one(benchmark):
    pytest.importorskip("torch")
    small = ("--images", 8, "--image-size", 16, "--batch-size", 4, "--epochs", 2, "--rounds", 1)
    figures = benchmark("devices", "--network", "sequential_cnn", *small)
    assert figures["ratio"] > 0


@pytest.mark.slow
def test_ways_to_train_on_small_folders(script, benchmark, photos, tmp_path, shapes_experiment):
    recipe = {**shapes_experiment, "dataset": {"name": "image_folder"}}
    file = script("common").write_experiment(tmp_path, recipe)
    arguments = ("--counts", "6,3", "--fresh", 4, "--seeds", 2, "--against", "stages.0.epochs=2")
    figures = benchmark("small_folders", "--data", photos, "--experiment", file, *arguments)
    assert figures["ways"]["recipe"]["difference"] == 0
    assert len(figures["ways"]["stages.0.epochs=2"]["seeds"]) == 2


@pytest.mark.slow
def test_more_images_are_foreseen_and_chosen(
    script, benchmark, photos, tmp_path, shapes_experiment
):
    recipe = {**shapes_experiment, "dataset": {"name": "image_folder"}}
    file = script("common").write_experiment(tmp_path, recipe)
    few = ("--size", 10, "--target", 14, "--repetitions", 2)
    chosen = ("--labelled", 4, "--batch", 2, "--batches", 2)
    figures = benchmark("more", "--data", photos, "--experiment", file, *few, *chosen)
    (target,) = figures["foreseen"]
    assert target["inside"] in (0, 1, 2)
    assert len(figures["next"]) == 2


def test_folds_of_a_benchmark_have_every_class(script):
    folds = script("more").folds_of(np.arange(50) % 5)
    assert [set((np.arange(50) % 5)[folds == fold]) for fold in range(5)] == [set(range(5))] * 5


@pytest.mark.slow
def test_recipes_beside_features_on_the_same_folds(
    script, benchmark, photos, tmp_path, shapes_experiment
):
    recipe = {**shapes_experiment, "dataset": {"name": "image_folder"}}
    file = script("common").write_experiment(tmp_path, recipe)
    arguments = ("--folds", 3, "--floor-size", 32, "--against", "stages.0.epochs=2")
    figures = benchmark("recipes", "--data", photos, "--experiment", file, *arguments)
    found = figures["folders"]["photos"]
    assert found["images"] == 20
    assert 0 <= found["floor"] <= 1
    recipe = found["ways"]["recipe"]
    assert recipe["from_recipe"] == {"difference": 0, "interval": [0, 0]}
    assert recipe["from_floor"]["difference"] == pytest.approx(recipe["accuracy"] - found["floor"])
    assert found["ways"].keys() == {"recipe", "stages.0.epochs=2"}


@pytest.mark.long  # imports Optuna and starts nine sweeps of it
def test_the_race_beside_pruners(benchmark, tmp_path):
    one = ["--sweeps", 1, "--trials", 4, "--epochs", 3, "--images", 60]
    line = benchmark("race", *one)
    assert len(line["figures"]) == 4  # families of curves
    for figures in line["figures"].values():
        assert set(figures) == {"race", "hyperband", "successive_halving", "median"}
        assert all(0 < way["epochs"] <= 1 for way in figures.values())
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=80)
    for trial in range(3):
        predicted = rng.dirichlet(np.ones(2), (3, 80))
        np.savez(tmp_path / f"{trial}.npz", probabilities=predicted, labels=labels)
    line = benchmark("race", *one, "--curves", tmp_path)
    assert set(line["figures"]) == {"60 images"}


def test_the_best_after_some_minutes(script, benchmark, photos, monkeypatch):
    tried = [{"what": "one", "val_accuracy": 0.9, "seconds": 3.0, "better": True}]
    call = {"process_seconds": 66.0, "test_accuracy": 0.75, "retrained": True, "tried": tried}
    right = np.array([True, True, True, False])
    monkeypatch.setattr(script("best"), "best", lambda *_: (call, right))
    figures = benchmark("best", "--data", photos, "--minutes", 1, "--repetitions", 2)
    (one,) = figures["minutes"].values()
    assert (one["accuracy"], one["repetitions"]) == (0.75, [0.75, 0.75])
    assert one["over"] == pytest.approx(1.1)
    assert one["winners"] == ["one", "one"]
    assert script("best").figures_of(1.0, [call], right, [~right])["difference"] == 0.5


def test_thresholds_of_a_network_that_was_trained_on_the_validation_images(benchmark):
    line = benchmark("thresholds", "--repetitions", 1)
    assert 0.8 < line["coverage"]["test images"]["mean"] <= 1


def test_images_of_other_things(script):
    for draw in script("none_of_these").OTHERS.values():
        pixels = draw(np.random.default_rng(0))
        assert (pixels.shape, pixels.dtype) == ((224, 224, 3), np.uint8)


def test_probes_by_full_runs(script, benchmark, photos, monkeypatch):
    networks = [{"architecture": name, "accuracy": 0.9 - n / 10} for n, name in enumerate("ab")]
    said = {"networks": networks, "runs": [{"test_accuracy": 0.8}, {"test_accuracy": 0.6}]}
    monkeypatch.setattr(script("probes"), "document", lambda *_: said)
    words = ["--experiment", photos, "--networks", "a,b", "--image-size", 8, "--image-size", 9]
    line = benchmark("probes", "--data", photos, *words, "--seeds", 2)
    assert line["networks"]["b at 9 px"] == {"probe": pytest.approx(0.8), "run": 0.6}
    assert line["rank_correlation"][0] == pytest.approx(1)
    assert len(line["of_each_seed"]) == 2


@pytest.mark.long  # trains a network twice
def test_one_trial_or_the_mean_of_several(benchmark, photos):
    words = ["--networks", "sequential_cnn", "--image-size", 16, "--views", 2, "--splits", 1]
    line = benchmark("means", "--data", photos, *words)
    assert len(line["trials"]) == 2
    assert line["choices"]["least loss"]["difference"] == 0
    assert 0 <= line["choices"]["mean of all"]["accuracy"] <= 1


def test_an_ensemble_and_its_student_by_the_best_member(script, tmp_path, photos):
    right = np.array([True, True, False, False])
    said = {"best member": right, "ensemble": np.ones(4, bool), "student": right | [0, 0, 0, 1]}
    figures = script("ensembles").figures(said)
    assert figures["accuracy"]["ensemble"]["accuracy"] == 1
    assert (figures["gain"]["student"]["difference"], figures["kept"]) == (0.25, 0.5)
    folds = [tmp_path / str(fold) for fold in range(3)]
    for fold, folder in enumerate(folds):
        script("ensembles").divide(photos, folder, fold, 3)
    tested = [{file.relative_to(of) for file in (of / "test").glob("*/*")} for of in folds]
    assert sum(map(len, tested)) == len(set.union(*tested)) == 20


def test_accuracy_by_minutes_beside_others(script, benchmark, photos, monkeypatch, tmp_path):
    right = np.array([True, True, True, False])
    said = {"process_seconds": 90.0, "correct": 2, "total": 4}
    monkeypatch.setattr(script("curve"), "best", lambda *_: ({"process_seconds": 66.0}, right))
    monkeypatch.setattr(script("curve"), "script", lambda *_, **__: said)
    figures = benchmark("curve", "--data", photos, "--minutes", 1, "--epochs", 2, "--fastai", "x")
    assert figures["kerascnn best"]["1"]["accuracy"] == 0.75
    assert figures["fastai"]["2"]["seconds"] == figures["Keras guide"]["2"]["seconds"] == 90
    other = {**figures, "calls": {"fastai": {"2": [[110.0, 4, 4]]}}}
    lines, file = tmp_path / "lines.json", tmp_path / "curve.svg"
    lines.write_text(f"{json.dumps(figures)}\n{json.dumps(other)}\n")
    together = script("curve").merged([figures, other])["fastai"]["2"]
    assert (together["seconds"], together["accuracy"]) == (100, 0.75)
    CliRunner().invoke(script("curve").main, ["--plot", str(lines), str(file)], None)
    assert file.read_text().count("<svg") == 1
