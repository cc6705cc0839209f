"""The report of a real run, as a file and in a browser."""

import html
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from markupsafe import escape
from PIL import Image

import kerascnn
from kerascnn.engine.metrics.score import measure
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.find import find_run
from kerascnn.results.report.chapters import class_rows, macro_explained, weights_facts
from kerascnn.results.report.write import report_run
from kerascnn.run.experiment import run_experiment
from kerascnn.tracking.store import open_store, runs_table, tracking_uri

CHAPTERS = (
    "result",
    "training",
    "classes",
    "mistakes",
    "calibration",
    "looks",
    "data",
    "next",
    "again",
)
COLOURS = {"blue": (60, 90, 200), "green": (70, 170, 90), "rose": (200, 80, 90)}
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


class Heard(Observer):
    """Keeps what was warned of."""

    def __init__(self):
        self.warnings = []

    def warned(self, message):
        self.warnings.append(message)


def paint(folder):
    """Images whose class is a colour, except every fourth, which has another class's.

    There are few of the class rose.
    """
    rng = np.random.default_rng(0)
    for index, name in enumerate(COLOURS):
        (folder / name).mkdir(parents=True)
        for number in range(9 if name == "rose" else 24):
            colour = list(COLOURS.values())[(index + (number % 4 == 0)) % 3]
            pixels = np.clip(rng.normal(colour, 40, (8, 8, 3)), 0, 255).astype(np.uint8)
            image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC)
            image.save(folder / name / f"{name}-{number}.png")


def experiment(folder):
    stage = {"unfreeze": "all", "epochs": 2, "learning_rate": 1e-2}
    return {
        "name": "colours",
        "dataset": {"name": "image_folder", "path": str(folder), "test_fraction": 0.3},
        "augmentation": {"name": "light"},
        "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 4},
        "training": {"image_size": 32, "batch_size": 8},
        "stages": [{"name": "first", **stage}, {"name": "then", **stage, "learning_rate": 1e-3}],
    }


@pytest.fixture(scope="module")
def place(shared_workplace):
    """The working directory of the module's run."""
    paint(shared_workplace / "photos")
    return shared_workplace


@pytest.fixture(scope="module")
def heard():
    return Heard()


@pytest.fixture(scope="module")
def result(place, registry, heard):
    return run_experiment(bind_experiment(experiment(place / "photos"), registry), heard)


@pytest.fixture(scope="module")
def page(result, heard):
    assert not [warning for warning in heard.warnings if "report" in warning]
    return (result.folder / "report.html").read_text()


@pytest.mark.backend
def test_a_run_ends_with_a_page_that_needs_no_network(page):
    for chapter in CHAPTERS:
        assert f'id="{chapter}"' in page
    linked = re.findall(r'(?:src|href|action)="([^"]+)"', page) + re.findall(
        r"url\(([^)]+)\)", page
    )
    assert {address.partition(":")[0][:5] for address in linked} <= {"data"} | {
        address[:5] for address in linked if address.startswith("#")
    }
    assert "@import" not in page
    assert len(page) < 2_000_000


def test_the_page_tells_the_result_the_stages_and_every_class(page, result):
    low, high = result.test_accuracy_interval
    figure = f'<div class="headline">{result.test_accuracy:.3f} '
    assert f"{figure}<span>{low:.3f} to {high:.3f}</span></div>" in page
    for stage in result.stages:
        assert f"<b>{stage['name']}</b>" in page
    for name in COLOURS:
        assert f"<tr><td>{name} " in page


def test_what_was_noted_about_the_data_stands_beside_the_figure(page, result, heard):
    (note,) = result.notes
    assert note in heard.warnings
    assert "training images of blue, 5 of rose" in note
    header = page[page.index('<header id="result">') : page.index("</header>")]
    assert str(escape(note)) in header


@pytest.mark.parametrize(
    ("per_class", "said"),
    [
        ((20, 20), ""),
        (
            (38, 2),
            r"Macro F1 \(0.487\) is lower than accuracy .* square: 0.000 on 2 test",
        ),
    ],
)
def test_a_macro_figure_that_differs_from_the_accuracy_is_explained(written_run, per_class, said):
    """A network that takes every image for the class with most of them, or is always right."""
    result = written_run("a" * 32, [True] * 40)
    first, second = per_class
    labels = np.repeat([0, 1], [first, second])
    taken = labels if first == second else np.zeros(40, int)
    test = measure(np.eye(2)[taken], labels, tuple(result.class_names))
    judged = replace(result, test=test.to_json(), test_accuracy=test.accuracy)
    assert re.search(said, macro_explained(judged)) if said else not macro_explained(judged)


def test_every_mistake_that_is_shown_is_one(page, result):
    wrong = round((1 - result.test_accuracy) * result.test["images"])
    assert wrong > 0
    assert f"{wrong} of {result.test['images']} images" in page
    counts = {
        (true, taken): result.test["confusion"][i][j]
        for i, true in enumerate(result.class_names)
        for j, taken in enumerate(result.class_names)
    }
    shown = re.findall(r"<h3>(\w+) mistaken for (\w+) <span[^>]*>· (\d+) of", page)
    assert shown
    for true, taken, count in shown:
        assert counts[true, taken] == int(count)


def test_the_experiment_in_the_page_runs_again(page, result, registry):
    toml = html.unescape(re.search(r'<pre id="toml">(.*?)</pre>', page, re.DOTALL)[1])
    again = bind_experiment(tomllib.loads(toml), registry)
    assert again == bind_experiment(result.experiment, registry)


def test_origin_and_licence_of_pretrained_weights_are_shown(page, result):
    assert "Pretrained weights" not in page
    told = {"origin": "a package", "licence": "MIT", "trained_on": "", "image_size": 224}
    assert weights_facts(replace(result, weights=[told, told | {"licence": ""}])) == [
        {
            "origin": "a package",
            "licence": licence,
            "trained on": "not stated",
            "image size": "224 pixels",
        }
        for licence in ("MIT", "not stated")
    ]


def test_the_experiment_is_folded(page):
    assert page.index("<details><summary>the experiment") < page.index('<pre id="toml">')


def test_what_to_do_next_runs_as_it_is_pasted(page, place, run_cli):
    section = re.search(r'<section id="next">(.*?)</section>', page, re.DOTALL)[1]
    commands = [html.unescape(said) for said in re.findall("<pre>(.*?)</pre>", section)]
    assert commands[0] == f"cd {place}"
    verbs = [command.split()[1] for command in commands[1:]]
    assert verbs == ["predict", "visualize", "run", "compare", "register", "export", "ui"]
    for command in (commands[1], commands[4]):  # the others take longer
        ended = run_cli(*shlex.split(command)[1:])
        assert ended.exit_code == 0, ended.stderr


def test_history_and_counts_are_kept_with_the_result(result):
    assert [(of["stage"], of["epoch"]) for of in result.history] == [
        ("first", 1),
        ("first", 2),
        ("then", 1),
        ("then", 2),
    ]
    assert {name: sum(counts) for name, counts in result.class_counts.items()} == {
        name: about["images"] for name, about in result.data.items()
    }
    assert set(result.blocks.values()) <= {layer.name for layer in result.model.layers}


def test_every_interval_holds_its_value(result):
    rows = class_rows(result)
    assert [row.f1 for row in rows] == sorted(row.f1 for row in rows)
    for row in rows:
        for name in ("precision", "recall", "f1"):
            bounds = getattr(row, f"{name}_interval")
            assert bounds is None or bounds[0] <= getattr(row, name) <= bounds[1]


def test_mlflow_has_the_page_and_a_note_with_images(place, result):
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    note = client.get_run(result.run_id).data.tags["mlflow.note.content"]
    assert f"**{result.test_accuracy:.3f}**" in note
    assert "| first&emsp; |" in note
    assert f"get-artifact?path=thumbnails.jpg&run_uuid={result.run_id}" in note
    names = {artifact.path for artifact in client.list_artifacts(result.run_id)}
    assert {"report.html", "thumbnails.jpg"} <= names


def test_the_command_writes_the_same_page_again(page, result, place, run_cli):
    (result.folder / "report.html").unlink()
    ended = run_cli("report", result.run_id[:8], "--json")
    assert ended.exit_code == 0, ended.stderr
    assert f'"report": "{result.folder / "report.html"}"' in ended.stdout
    assert (result.folder / "report.html").read_text() == page


def test_without_its_images_there_is_a_page_that_says_so(page, result, place):
    photos = place / "photos"
    photos.rename(place / "elsewhere")
    try:
        report_run(result)
        without = (result.folder / "report.html").read_text()
    finally:
        (place / "elsewhere").rename(photos)
        (result.folder / "report.html").write_text(page)
    assert "This report has no images" in without
    assert "image/webp" in without  # the kernels
    assert without.count("image/webp") < page.count("image/webp") / 4
    assert f'class="headline">{result.test_accuracy:.3f} <' in without


def test_images_that_have_changed_are_not_shown(page, result, place):
    changed = next((place / "photos" / "rose").glob("*.png"))
    kept = changed.read_bytes()
    Image.new("RGB", (32, 32)).save(changed)
    try:
        report_run(result)
        without = (result.folder / "report.html").read_text()
    finally:
        changed.write_bytes(kept)
        (result.folder / "report.html").write_text(page)
    assert "images differ from those of the run" in without


@pytest.mark.long  # takes a run
def test_a_report_that_fails_is_told_and_fails_no_run(workplace, registry, monkeypatch):
    paint(workplace / "photos")
    short = experiment(workplace / "photos")
    short["stages"] = [{**short["stages"][0], "epochs": 1}]
    heard = Heard()

    def fail(*_):
        raise OSError("no space left on device")

    for drawing in ("write_page", "save_confusion", "note", "write_thumbnails"):
        monkeypatch.setattr(f"kerascnn.run.result.record.{drawing}", fail)
    done = run_experiment(bind_experiment(short, registry), heard)
    assert (done.folder / "result.json").is_file()
    (warning,) = [warning for warning in heard.warnings if "report" in warning]
    assert "no space left on device" in warning
    assert f"kerascnn report {done.run_id[:8]}" in warning
    assert any("confusion matrix" in said for said in heard.warnings)
    assert find_run("last").run_id == done.run_id
    assert done.model.count_params() == done.parameters
    with open_store(tracking_uri()) as store:
        assert store.get_run(done.run_id).info.status == "FINISHED"


def test_a_result_shows_itself_in_a_notebook(result):
    shown = result._repr_html_()
    assert f'class="headline">{result.test_accuracy:.3f} <' in shown
    assert shown.count("<svg") == 3
    assert "<html" not in shown


def chromium(address, folder, *options):
    """Opens a page in a headless browser; returns what it printed."""
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=20000",
            *options,
            address,
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout


def is_painted(file):
    pixels = np.asarray(Image.open(file).convert("L"))
    return pixels.std() > 5


@browser
@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, 1), pytest.param(500, 0, marks=pytest.mark.long)]
)
def test_a_browser_shows_curves_confusion_matrix_and_images(page, result, tmp_path, width, scheme):
    address = (result.folder / "report.html").as_uri()
    looks = (f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},1200")
    shot = tmp_path / "page.png"
    chromium(address, tmp_path, *looks, f"--screenshot={shot}")
    assert is_painted(shot)
    assert np.asarray(Image.open(shot))[2, 2, :3].mean() == pytest.approx(250 * scheme, abs=30)
    document = chromium(address, tmp_path, *looks, "--dump-dom")
    assert document.count('aria-label="confusion matrix"') == 1
    assert "accuracy, loss and learning rate of every epoch" in document
    assert document.count('src="data:image/webp') > 20


@pytest.fixture(scope="module")
def server(place, result):
    """MLflow's page on the run, as `kerascnn ui` opens it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{place / 'mlflow.db'}"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store, "--workers", "1"]
    log = (place / "ui.log").open("w")
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log
    ) as running:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{address}/health")
            yield address
        finally:
            running.terminate()


def wait_for(address, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return urllib.request.urlopen(address, timeout=5).read()
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(address)


@browser
@pytest.mark.browser
@pytest.mark.slow
def test_mlflow_shows_the_table_of_runs_the_note_and_the_report(server, place, result, tmp_path):
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    run = client.get_run(result.run_id)
    runs = f"{server}/#/experiments/{run.info.experiment_id}/runs"
    large = "--window-size=1400,2600"
    table = chromium(f"{server}/{runs_table(client, result.name)}", tmp_path, large, "--dump-dom")
    assert run.info.run_name in table
    assert "test_accuracy" in table
    of_run = chromium(f"{runs}/{result.run_id}", tmp_path, large, "--dump-dom")
    assert f"<strong>{result.test_accuracy:.3f}</strong>" in of_run
    assert f"run_uuid={result.run_id}" in of_run  # the thumbnails
    assert "stages.first.learning_rate" in of_run
    shot = tmp_path / "artifact.png"
    chromium(
        f"{runs}/{result.run_id}/artifacts/report.html", tmp_path, large, f"--screenshot={shot}"
    )
    assert is_painted(shot)


def test_the_public_name_is_there():
    assert kerascnn.report_run is report_run


def test_templates_travel_with_the_package():
    folder = Path(kerascnn.__file__).parent / "results/templates"
    assert {"base.html", "report.html", "style.css"} <= {file.name for file in folder.iterdir()}
