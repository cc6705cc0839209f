"""`check --labels`: the page, the table that a person edits, and the run that reads it."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kerascnn.cli import cli
from kerascnn.engine.data.hygiene.corrections import read_corrections
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer
from kerascnn.experiment.load import load_experiment

COLOURS = {"blue": (40, 60, 200), "red": (200, 60, 40)}
TOML = """
name = "photos"
[dataset]
name = "image_folder"
path = "photos"
[architecture]
name = "sequential_cnn"
depth = 2
filters = 4
[training]
image_size = 16
[[stages]]
name = "head"
epochs = 1
learning_rate = 0.01
"""


@pytest.fixture(scope="module")
def place(shared_workplace):
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(24):
            pixels = np.clip(rng.normal(colour, 30, (16, 16, 3)), 0, 255).astype(np.uint8)
            file = shared_workplace / "photos" / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    (shared_workplace / "photos/blue/24.png").write_bytes(
        (shared_workplace / "photos/red/3.png").read_bytes()
    )
    (shared_workplace / "photos/red/3.png").unlink()
    Image.new("RGB", (16, 16)).save(shared_workplace / "photos/red/3.png")
    (shared_workplace / "photos.toml").write_text(TOML)
    return shared_workplace


def check(*options):
    ended = CliRunner().invoke(cli, ["check", "photos.toml", "--labels", *options])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.fixture(scope="module")
def checked(place):
    return json.loads(check("--json"))


def test_the_swapped_label_is_the_most_suspicious(checked, place):
    scores = [one["score"] for one in checked["labels"]]
    assert len(scores) == 49
    assert scores == sorted(scores, reverse=True)
    first = next(one for one in checked["labels"] if not one["image"].endswith("red/3.png"))
    assert first["image"] == str(place / "photos/blue/24.png")
    assert (first["label"], first["suggested"]) == ("blue", "red")
    assert first["wrong"]
    blank = next(look for look in checked["looks"] if look["kind"] == "blank")
    assert blank["groups"] == [[str(place / "photos/red/3.png")]]


def test_the_page_shows_it_with_its_neighbours(checked, place):
    page = (place / checked["page"]).read_text()
    assert checked["page"] == "photos-labels/labels.html"
    assert '<article data-path="blue/24.png" data-given="blue">' in page
    assert "https://" not in page.replace("https://www.w3.org", "")
    assert page.count("<article") == 49


def test_an_edited_label_is_corrected_by_the_next_run_and_kept_by_the_next_check(checked, place):
    file = place / checked["table"]
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [*rows[0]] == ["path", "label", "suggested", "score", "given"]
    assert not read_corrections(file).rows  # nothing was edited
    for row in rows:
        edited = {"blue/24.png": "red", "red/3.png": ""}
        row["label"] = edited.get(row["path"], row["label"])
    with file.open("w", newline="") as opened:
        table = csv.DictWriter(opened, rows[0])
        table.writeheader()
        table.writerows(rows)
    experiment = load_experiment("photos.toml", {"dataset.corrections": checked["table"]})
    data = load_data(experiment, Observer())
    assert sum(map(len, data.splits().values())) == 48
    text = check("--set", f"dataset.corrections={checked['table']}")
    assert "next" in text
    assert "dataset.corrections=photos-labels/labels.csv" in text
    kept = {(one.path, one.label, one.given) for one in read_corrections(file).rows}
    assert kept == {("blue/24.png", "red", "blue"), ("red/3.png", "", "red")}
    check()  # an experiment that does not name the table loses none of the edits
    assert {(one.path, one.label, one.given) for one in read_corrections(file).rows} == kept
