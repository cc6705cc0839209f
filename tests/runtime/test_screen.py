"""What results print of themselves, and what a notebook sees while they come about."""

import builtins
import re
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import Observer, compare_runs
from kerascnn.engine.events import StageStart
from kerascnn.engine.metrics.score import measure
from kerascnn.engine.observer import default_observer
from kerascnn.results.describe.description import BlockRow, Description
from kerascnn.results.inference.evaluate import Evaluation
from kerascnn.results.inference.predict import Prediction
from kerascnn.studies.lr_find.range_test import RangeTest
from kerascnn.studies.probe.result import ProbedNetwork, ProbeResult

MANY = 1000
NAMES = tuple(f"class number {number}" for number in range(MANY))


@pytest.fixture
def results(written_run):
    return [written_run(f"{number:032x}", [True, False] * 20) for number in range(12)]


def of_a_run(results):
    return replace(results[0], class_names=list(NAMES))


def of_a_comparison(results):
    return compare_runs(results)


def of_metrics(_):
    return measure(np.eye(MANY), np.arange(MANY), NAMES)


def of_an_evaluation(results):
    return Evaluation(**vars(of_metrics(results)), result=None, data="new", test=None, windows=None)


def of_a_prediction(_):
    return Prediction("a.png", "x", 0.5, [{"label": name, "probability": 0.1} for name in NAMES])


def of_a_probe(_):
    networks = [
        ProbedNetwork(name, 0.5, (0.4, 0.6), 1.2, 100, 0, 10, 1000, 4000, 9000, 1.0, 0.5, 2.0)
        for name in NAMES
    ]
    return ProbeResult("a" * 32, "photos", "CPU", networks, "folder")


def of_a_range_test(_):
    numbers = np.geomspace(1e-7, 10, 100).tolist()
    return RangeTest("head", 1e-3, numbers, numbers, numbers, True, 1.5)


def of_a_description(_):
    blocks = tuple(BlockRow(name, 3, (8, 8, 4), 10, 20, 5, 40) for name in NAMES)
    return Description("net", 224, 1000, 50, 53, 10**7, 10**9, 10**6, (), blocks, ())


MADE = [
    (of_a_run, ["run 00000000", "accuracy 0.500 [", "1,000: class number 0", "and 990 more"]),
    (of_a_comparison, ["00000000  0.500 [", "2 more"]),
    (of_metrics, ["accuracy 1.000 [", "on 1,000 images", "recall 1.000 of 1 images", "990 more"]),
    (of_an_evaluation, ["on 1,000 images", "990 more"]),
    (of_a_prediction, ["a.png: class number 0 0.100", "and 990 more"]),
    (of_a_probe, ["probe aaaaaaaa", "class number 0", "990 more"]),
    (of_a_range_test, ['stage "head"', "suggestion   none: the loss hardly falls"]),
    (of_a_description, ["net at 224 px", "3 layers, 10 parameters", "990 more"]),
]


@pytest.mark.parametrize(("make", "said"), MADE, ids=[make.__name__ for make, _ in MADE])
def test_a_result_prints_itself_on_one_screen(make, said, results):
    lines = repr(make(results)).splitlines()
    assert len(lines) <= 24
    assert all(len(line) <= 250 for line in lines)
    for words in said:
        assert any(words in line for line in lines), lines


def test_a_comparison_prints_itself_where_predictions_are_gone(results):
    (results[0].folder / "predictions.csv").unlink()
    assert "predictions.csv is missing" in repr(compare_runs(results[:2]))


def test_from_python_notes_are_shown_as_in_the_terminal(capsys):
    default_observer().warned("3 images cannot be read")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "note      3 images cannot be read\n")


class Cell:
    """IPython's display in a notebook: what each output shows now, and how often one changed."""

    def __init__(self):
        self.outputs, self.changes = [], 0

    def display(self, line, raw, display_id):
        self.outputs.append("")
        handle = SimpleNamespace(update=partial(self.update, len(self.outputs) - 1))
        handle.update(line, raw=raw)
        return handle

    def update(self, number, line, raw):
        assert raw
        self.outputs[number] = line["text/plain"]
        self.changes += 1


@pytest.fixture
def cell(monkeypatch):
    cell, kernel = Cell(), SimpleNamespace(kernel=None)
    monkeypatch.setattr(builtins, "get_ipython", lambda: kernel, raising=False)
    monkeypatch.setitem(sys.modules, "IPython.display", cell)
    return cell


def test_in_a_notebook_they_stand_among_the_output_of_the_cell(capsys, cell):
    default_observer().warned("3 images cannot be read")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("note      3 images cannot be read\n", "")
    assert cell.outputs == []


def test_in_a_notebook_one_line_shows_how_far_long_work_has_come(capsys, cell, monkeypatch):
    monkeypatch.setattr("kerascnn.cli.notebook.REFRESH_SECONDS", 0.0)
    observer = default_observer()
    for what in ("packing train", "packing test"):
        for done in (1, 2):
            observer.progress(what, done, 2)
            assert len(cell.outputs) == 1
            assert re.fullmatch(rf"{what} +[━╸╺ ]+ {done}/2 .*", cell.outputs[0])
    observer.download("weights", 10**6, None)  # of unknown size
    assert re.fullmatch(r"weights +[━╸╺ ]+ 1.0/\? MB .*", cell.outputs[0])
    assert cell.changes == 5
    shown = capsys.readouterr()  # and nothing among its plain lines
    assert (shown.out, shown.err) == ("", "")


def test_each_stage_has_a_line_of_its_own_in_a_notebook(cell):
    observer = default_observer()
    observer.progress("packing train", 2, 2)
    observer.stage_started(
        StageStart(1, 1, "head", "the head", epochs=2, epochs_before=0, batch_size=8)
    )
    observer.step(4, 4)
    packed, trained = cell.outputs
    assert packed.startswith("packing train")
    assert trained.startswith("  epoch 1/2")


def test_a_notebook_is_not_flooded(cell):
    observer = default_observer()
    for done in range(1, 1001):
        observer.progress("packing train", done, 1000)
    assert cell.changes < 100
    assert "1000/1000" in cell.outputs[0]


def test_ipython_in_a_terminal_is_no_notebook(capsys, cell, monkeypatch):
    monkeypatch.setattr(builtins, "get_ipython", SimpleNamespace)
    default_observer().progress("packing train", 1, 2)
    assert (cell.outputs, capsys.readouterr()) == ([], ("", ""))


def test_an_observer_that_does_nothing_silences_them(capsys, written_run, tmp_path, monkeypatch):
    from kerascnn.results.inference import predict

    def even(result, pixels, *_):
        return np.full((len(pixels), 2), 0.5), None, ""

    monkeypatch.setattr(predict, "outputs_of", even)
    run = written_run("a" * 32, [True, False])
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    kerascnn.predict_images(run, tmp_path, observer=Observer())
    assert capsys.readouterr() == ("", "")
    kerascnn.predict_images(run, tmp_path)
    assert "bad.png" in capsys.readouterr().err
