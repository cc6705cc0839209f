"""The page of a comparison: in a browser's terms, in a notebook, beside the runs."""

import json
import re

import numpy as np
import pytest

from kerascnn import compare_runs
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.compare.page import log_comparison, write_comparison
from kerascnn.results.lookup import runs_folder
from kerascnn.tracking.journal import send_pending
from kerascnn.tracking.store import open_store, tracking_uri
from kerascnn.tracking.tracker import Tracker

COUNT = 8  # test images of `shapes_experiment`


def right(*wrong):
    return ~np.isin(np.arange(COUNT), wrong)


def page_of(comparison, folder):
    write_comparison(comparison, folder / "page.html")
    return (folder / "page.html").read_text()


@pytest.fixture
def packed(shapes_experiment, registry, workplace):
    """The fingerprints of the images that the runs were evaluated on."""
    experiment = bind_experiment(shapes_experiment, registry)
    splits = load_data(experiment, Observer()).splits()
    return {
        name: {"images": len(split), "fingerprint": split.fingerprint}
        for name, split in splits.items()
    }


def test_the_page_shows_verdict_curves_and_flipped_images(written_run, packed, workplace):
    metrics = [{"name": "balanced_accuracy"}]
    runs = [
        written_run("a" * 32, right(0, 1, 2), metrics=metrics),
        written_run("b" * 32, right(3), seed=1),
    ]
    for run in runs:
        run.data.update(packed)
    page = page_of(compare_runs(runs), workplace)
    assert page.count('<td class="number" data-label="balanced_accuracy">0.') == 3  # and the lead
    assert "bbbbbbbb and aaaaaaaa cannot be distinguished: +0.250" in page
    assert page.count("<img ") == 4
    assert page.count("data:image/webp") == 4
    assert "bbbbbbbb correct, aaaaaaaa wrong" in page
    assert page.count('aria-label="validation accuracy and loss') == 2
    assert re.search(r"<td[^>]*>seed<td[^>]*>1<td[^>]*>0", page)
    assert not re.search(r"(src|href)=.?https?://(?!doi|arxiv|www.jstor)", page)


def test_without_images_the_page_has_their_names(written_run, workplace):
    runs = [written_run("a" * 32, right(0, 1, 2)), written_run("b" * 32, right(3))]
    page = page_of(compare_runs(runs), workplace)
    assert "<img " not in page
    assert "The images are missing" in page
    assert "mistaken for circle 0.80 · image 1" in page


def test_the_page_of_many_runs_names_them_all_and_folds_the_pairs(written_run, workplace):
    for number in range(12):
        written_run(f"{number:02d}" * 16, right(*range(number % 8)), seed=number)
    page = page_of(compare_runs(), workplace)
    assert all(f"{number:02d}" * 4 in page for number in range(12))
    assert "<summary>all 66 pairs</summary>" in page
    assert len(page) < 400_000


def test_the_page_of_groups_shows_their_seeds(written_run, workplace):
    for seed in range(3):
        written_run(f"a{seed}" * 16, right(0, 1, seed + 2), seed=seed)
        written_run(f"b{seed}" * 16, right(seed), seed=seed, architecture={"filters": 8})
    page = page_of(compare_runs(by_seed=True), workplace)
    assert "Comparison of 2 groups" in page
    assert "A is better than B" in page or "A and B cannot be distinguished" in page
    assert "<summary>6 runs</summary>" in page


def test_the_page_of_runs_on_other_images_says_why_there_is_no_test(written_run, workplace):
    written_run("a" * 32, right(0))
    written_run("b" * 32, right(), fingerprint="other", training={"image_size": 32})
    page = page_of(compare_runs(["a", "b"]), workplace)
    assert "no test: not all runs were evaluated" in page
    assert "bbbbbbbb *" in page
    assert 'id="tests"' not in page


def test_what_a_user_named_is_escaped(written_run, workplace):
    runs = [
        written_run("a" * 32, right(0), dataset={"name": "<script>"}),
        written_run("b" * 32, right()),
    ]
    comparison = compare_runs(runs)
    assert ">&lt;script&gt;" in comparison._repr_html_()
    assert "<script>" not in page_of(comparison, workplace)


def test_a_notebook_shows_the_verdict_and_the_runs(written_run):
    runs = [written_run("a" * 32, right(0, 1, 2)), written_run("b" * 32, right())]
    shown = compare_runs(runs)._repr_html_()
    assert "bbbbbbbb and aaaaaaaa cannot be distinguished: +0.375" in shown
    assert shown.count("<tr>") == 3


def test_the_page_is_logged_once_with_the_runs_under_it(written_run, workplace, fresh_database):
    (workplace / "mlflow.db").write_bytes(fresh_database.read_bytes())
    results = []
    for number in range(2):
        with Tracker("shapes", f"run {number}", runs_folder()) as tracker:
            run_id, folder = tracker.open()
            results.append(written_run(run_id, right(number), folder=folder, seed=number))
        assert tracker.unsent is None
    elsewhere = written_run("f" * 32, right(5, 6), seed=2)  # a run of another store
    comparison = compare_runs([*results, elsewhere])
    assert log_comparison(comparison) is None
    assert log_comparison(compare_runs([elsewhere, *results])) is None
    assert send_pending(runs_folder()) == []
    with open_store(tracking_uri()) as client:
        (experiment,) = (e for e in client.search_experiments() if e.name == "shapes")
        runs = client.search_runs([experiment.experiment_id])
        (parent,) = (run for run in runs if run.info.run_name == "comparison of 3 runs")
        logged = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"comparison.html", "comparison.json"} <= logged
    assert "share the highest accuracy" in parent.data.tags["mlflow.note.content"]
    nested = {
        run.info.run_id
        for run in runs
        if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    }
    assert nested == {result.run_id for result in results}
    document = json.loads((runs_folder() / parent.info.run_id / "comparison.json").read_text())
    assert len(document["runs"]) == 3
    assert [run.run_id for run in compare_runs().runs]  # a comparison is no run to compare


def test_html_writes_the_page_and_logs_it(run_cli, written_run, workplace):
    written_run("a" * 32, right(0))
    written_run("b" * 32, right(1, 2), seed=1)
    assert run_cli("compare", "a", "--html", "alone.html").exit_code == 0
    answer = run_cli("compare", "--html", "page.html")
    assert answer.exit_code == 0, answer.stderr
    assert (workplace / "page.html").read_text().startswith("<!doctype html>")
    assert len(list(runs_folder().glob("*/comparison.html"))) == 1
