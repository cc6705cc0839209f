"""What a model's probabilities are worth, by hand, and the figure of it."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from kerascnn.engine.metrics.calibration import calibration_interval, expected_calibration_error
from kerascnn.engine.metrics.score import ClassMetrics, Standing, macro_f1_interval, measure

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


def test_a_class_of_which_there_is_nothing_is_not_in_the_macro_f1(metrics):
    predicted = PROBABILITIES.argmax(1)
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 0.8) / 2)
    assert metrics.macro_f1 == pytest.approx(f1_score(LABELS, predicted, average="macro"))
    perfect = np.eye(3)[[0, 1, 1, 1]]
    assert macro_f1_interval(perfect, perfect.argmax(1)) == (1, 1)


def test_a_sure_mistake_costs_much_and_not_infinity():
    assert measure(np.eye(3, dtype=np.float32), np.array([1, 2, 0]), NAMES).loss < 20


def test_it_goes_into_json(metrics):
    read = json.loads(json.dumps(metrics.to_json()))
    assert read["per_class"]["rose"]["recall"] == 1.0
    assert read["confusion"][0] == [1, 1, 0]


def test_calibration_error_by_hand():
    # bins of 1/15: 0.7 and 0.5 are alone, 0.8 is alone, 1.0 is alone; one of the four is wrong
    gaps = [0.7 - 1, 0.5 - 0, 0.8 - 1, 1.0 - 1]
    expected = np.abs(gaps).mean()
    assert expected_calibration_error(PROBABILITIES, LABELS) == pytest.approx(expected)
    assert expected_calibration_error(PROBABILITIES, LABELS, bins=1) == pytest.approx(
        abs(np.mean(gaps))
    )


def calibrated(count, seed, temperature=1.0):
    """Probabilities that come true as often as they say, before the temperature; and labels."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet([0.5] * 4, count)
    labels = np.minimum((rng.random((count, 1)) > true.cumsum(1)).sum(1), 3)
    raised = true**temperature
    return raised / raised.sum(1, keepdims=True), labels


def test_of_many_images_a_calibrated_network_has_no_error():
    assert expected_calibration_error(*calibrated(50_000, 0)) < 0.01
    assert expected_calibration_error(*calibrated(50_000, 0, temperature=3)) > 0.1


def test_the_interval_of_a_calibrated_network_begins_at_0():
    bounds = [calibration_interval(*calibrated(120, seed)) for seed in range(40)]
    assert np.mean([low == 0 for low, _ in bounds]) > 0.9


@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_the_interval_holds_the_error_of_many_images(temperature):
    true = expected_calibration_error(*calibrated(100_000, 99, temperature))
    bounds = [calibration_interval(*calibrated(150, seed, temperature)) for seed in range(60)]
    assert np.mean([low <= true <= high for low, high in bounds]) >= 0.8


def test_the_interval_of_the_macro_f1_holds_that_of_many_images():
    def macro_f1(probabilities, labels):
        return measure(probabilities, labels, ("a", "b", "c", "d")).macro_f1

    true = macro_f1(*calibrated(100_000, 99))
    bounds = [macro_f1_interval(*calibrated(150, seed)) for seed in range(60)]
    assert np.mean([low <= true <= high for low, high in bounds]) >= 0.85
    assert macro_f1_interval(*calibrated(150, 1)) == macro_f1_interval(*calibrated(150, 1))


@pytest.mark.parametrize(
    ("one", "other", "beats"),
    [
        ((0.9, 2.0), (0.8, 1.0), True),
        ((0.8, 1.0), (0.8, 2.0), True),
        ((0.8, 1.0), (0.8, 1.0), False),
        ((0.1, 2.0, "f1", 0.7), (0.9, 1.0, "f1", 0.6), True),
        ((0.1, 1.0, "f1", 0.7), (0.9, 2.0, "f1", 0.7), True),
        ((0.9, 1.0, "cost", 3.0, False), (0.1, 2.0, "cost", 4.0, False), True),
        ((0.9, 1.0, "cost", 4.0, False), (0.1, 2.0, "cost", 3.0, False), False),
    ],
)
def test_what_decides_comes_before_the_loss(one, other, beats):
    standings = [
        Standing(accuracy, loss, np.zeros(1, bool), *metric)
        for accuracy, loss, *metric in (one, other)
    ]
    assert standings[0].beats(standings[1]) is beats
    assert standings[0].beats(None)
