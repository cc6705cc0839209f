"""What a model's probabilities are worth, by hand, and the figure of it."""

import json

import numpy as np
import pytest

from kerascnn.metrics import ClassMetrics, measure
from kerascnn.plots import confusion_figure

NAMES = ("daisy", "rose", "tulip")
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],  # daisy: right
        [0.2, 0.5, 0.3],  # daisy: takes it for a rose
        [0.1, 0.8, 0.1],  # rose: right
        [0.0, 1.0, 0.0],  # rose: right
    ],
    np.float32,
)
LABELS = np.array([0, 0, 1, 1])


@pytest.fixture(scope="module")
def metrics():
    return measure(PROBABILITIES, LABELS, NAMES)


def test_accuracy_loss_and_interval(metrics):
    assert metrics.images == 4
    assert metrics.accuracy == 0.75
    assert metrics.interval == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert metrics.loss == pytest.approx(-np.log([0.7, 0.2, 0.8, 1.0]).mean(), rel=1e-6)


def test_confusion_is_true_class_by_predicted_class(metrics):
    assert metrics.confusion == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]


def test_each_class_for_itself(metrics):
    assert metrics.per_class == {
        "daisy": ClassMetrics(precision=1.0, recall=0.5, f1=pytest.approx(2 / 3), images=2),
        "rose": ClassMetrics(precision=pytest.approx(2 / 3), recall=1.0, f1=0.8, images=2),
        "tulip": ClassMetrics(precision=0.0, recall=0.0, f1=0.0, images=0),
    }
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 0.8) / 3)


def test_a_sure_mistake_costs_much_and_not_infinity():
    assert measure(np.eye(3, dtype=np.float32), np.array([1, 2, 0]), NAMES).loss < 20


def test_it_goes_into_json(metrics):
    read = json.loads(json.dumps(metrics.to_json()))
    assert read["per_class"]["rose"]["recall"] == 1.0
    assert read["confusion"][0] == [1, 1, 0]


def test_the_figure_shows_names_counts_and_the_interval(metrics, tmp_path):
    figure = confusion_figure(metrics, NAMES)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(NAMES)
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "1", (1, 0): "1", (1, 1): "2"}  # (predicted, true)
    assert axes.get_title() == "accuracy 0.750 [0.301, 0.954], 4 pictures"
    figure.savefig(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_a_figure_of_many_classes_holds_no_numbers():
    names = tuple(f"class {index}" for index in range(30))
    figure = confusion_figure(measure(np.eye(30), np.arange(30), names), names)
    assert not figure.axes[0].texts
