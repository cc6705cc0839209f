"""`kerascnn more` on rendered shapes: the answer, the page, and what to label next."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kerascnn import as_html
from kerascnn.engine.metrics.learning_curve import Estimate, Needed
from kerascnn.engine.observer import Observer, Only
from kerascnn.errors import InputError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.studies.more.more import more_images
from kerascnn.studies.more.page import class_rows
from kerascnn.studies.more.result import ClassNeed, MoreResult, Point, about

EXPERIMENT = {
    "name": "shapes",
    "dataset": {"name": "shapes", "classes": 3, "train": 45, "validation": 15, "test": 6},
    "architecture": {"name": "sequential_cnn", "depth": 3, "filters": 8, "dense_units": []},
    "training": {"image_size": 32, "batch_size": 8},
    "stages": [{"name": "head", "epochs": 1, "learning_rate": 1e-2}],
}


@pytest.fixture(scope="module")
def experiment(shared_workplace, registry):
    return bind_experiment(EXPERIMENT, registry)


@pytest.fixture(scope="module")
def folder(experiment, tmp_path_factory):
    """Six new images; a copy of one, one of the test split, and files that are no images."""
    folder = tmp_path_factory.mktemp("unlabelled")
    (folder / "deep" / "er").mkdir(parents=True)
    new = experiment.with_overrides({"dataset.image_seed": 1}).dataset.build(seed=0)
    for row in range(6):
        Image.fromarray(new.train[row][0]).save(folder / "deep" / "er" / f"{row}.png")
    shutil.copy(folder / "deep/er/0.png", folder / "deep/zero again.png")
    Image.fromarray(experiment.dataset.build(seed=0).test[0][0]).save(folder / "tested.png")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture
def invented(tmp_path):
    """A result that nothing was computed for: 60 images of three classes."""
    spread = Estimate(0.8, 0.7, 0.9)
    never = Needed(None, None, None, 0.0)
    classes = [
        ClassNeed(name, 20, spread, spread, Estimate(gain, 0.0, 0.2), never)
        for name, gain in (("circle", 0.1), ("square", 0.05), ("triangle", 0.0))
    ]
    points = [Point(number, spread) for number in (5, 60, 240)]
    return MoreResult(
        *("0" * 32, "shapes", "CPU", "sequential_cnn", 60, 60, 0.9),
        *([(5, 0.5), (48, 0.8)], points, spread, points[-1], never, classes),
        *(0.5, None, 0, 1.0, str(tmp_path)),
    )


@pytest.fixture(scope="module")
def warnings():
    return list[str]()


@pytest.fixture(scope="module")
def told(experiment, folder, warnings):
    return more_images(experiment, 0.9, folder=folder, top=4, observer=Only(warned=warnings.append))


@pytest.mark.long  # loads images, builds a network and starts a run
def test_the_result_tells_of_all_images_and_each_class(told):
    assert (told.images, told.horizon.images, len(told.measured)) == (60, 240, 8)
    assert told.measured[-1][0] == 48
    assert told.now.low <= told.now.value <= told.now.high
    assert [one.images for one in told.classes] == [20, 20, 20]
    gains = [one.gain.value for one in told.classes]
    assert gains == sorted(gains, reverse=True)
    assert 0 <= told.profits <= 1
    assert told.answer.startswith("an accuracy of 0.9 ")


@pytest.mark.long  # loads images, builds a network and starts a run
def test_copies_and_what_is_no_image_are_left_out(told, folder, warnings):
    assert told.copies == 2
    assert len({one.image for one in told.next}) == len(told.next) == 4
    assert all(Path(one.image).parent == folder / "deep" / "er" for one in told.next)
    assert any("broken.png" in said for said in warnings)
    assert any("1 .txt" in said for said in warnings)


@pytest.mark.long  # loads images, builds a network and starts a run
def test_the_run_has_a_page_a_table_and_json(told):
    run = Path(told.artifacts)
    rows = list(csv.DictReader((run / "next.csv").open(encoding="utf-8")))
    assert [row["path"] for row in rows] == [one.image for one in told.next]
    assert {row["label"] for row in rows} == {""}
    written = json.loads((run / "more.json").read_text())
    assert written["needed"]["images"] == told.needed.images
    assert written["answer"] == told.answer
    assert (run / "more.png").is_file()
    page = (run / "more.html").read_text("utf-8")
    assert page.count("<figure>") == 4
    assert "http" not in page.replace("http://www.w3.org/", "").replace("https://arxiv.org/", "")


@pytest.mark.long  # loads images, builds a network and starts a run
def test_features_are_taken_from_the_cache_the_second_time(told, experiment):
    again = more_images(experiment, 0.9, observer=Observer())
    assert again.stored == 60
    assert again.next is None
    assert (again.curve, again.classes) == (told.curve, told.classes)


@pytest.mark.parametrize(
    ("needed", "says"),
    [
        (Needed(100, 80, None, 1.0), "takes about 100 images [80, more than 240]; 40 more"),
        (Needed(50, 40, 70, 1.0), "takes about 50 images [40, 70]; there are 60."),
        (Needed(None, 200, None, 0.3), "probably takes more than 240 images, 4 times as many"),
        (Needed(None, None, None, 0.0), "is not reached with 240 images"),
    ],
)
def test_no_number_is_guessed_from_afar(invented, needed, says):
    assert says in replace(invented, needed=needed).answer


def test_the_class_that_profits_most_is_named_with_its_probability(invented):
    first, second, _ = invented.classes
    sure = replace(invented, profits=0.97)
    assert sure.profit.startswith(f"{first.name} profits most")
    unsure = replace(invented, profits=0.5)
    assert f"{first.name} may profit most, with a probability of 0.50" in unsure.profit
    assert second.name in unsure.profit
    lost = replace(first, needed=Needed(None, None, None, 0.0), recall=Estimate(0.5, 0.4, 0.6))
    (row,) = class_rows(replace(invented, classes=[lost]))
    assert row[-2:] == ("too far to foresee", "[more than 80, more than 80]")


def test_a_notebook_shows_the_curve_and_the_classes(invented):
    page = as_html(invented)
    assert "how many more images" in page
    assert invented.answer[1:] in page
    assert repr(invented).startswith("more 00000000")


def test_numbers_are_told_to_two_digits():
    assert [about(one) for one in (7, 42, 137, 2711)] == ["7", "42", "140", "2,700"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"accuracy": 1.0}, "less than 1"),
        ({"top": 0}, "top: expected a whole number"),
        ({"folder": "nowhere"}, "nowhere is not a folder"),
    ],
)
def test_what_cannot_be_asked(experiment, options, says):
    with pytest.raises(InputError, match=says):
        more_images(experiment, observer=Observer(), **options)


@pytest.mark.long  # the whole command, which loads and builds anew
def test_the_command_prints_the_same_as_json(shapes_file, run_cli, folder):
    words = ("--from", str(folder), "--top", "2", "--set", "dataset.train=30")
    done = run_cli("more", str(shapes_file), *words, "--json")
    assert len(json.loads(done.stdout)["next"]) == 2
    assert "an accuracy of 0.95" in run_cli("more", str(shapes_file), *words).stdout
