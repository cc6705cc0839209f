"""The metrics of an experiment: checked where they are computed, and their intervals."""

from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn import Component, Metric, Params, PluginError
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.engine.metrics import named
from kerascnn.engine.metrics.named import (
    NamedMetric,
    build_metrics,
    interval_of,
    measure_named,
    resampled,
    try_metrics,
)
from kerascnn.engine.metrics.score import confusion_matrix, macro_f1, macro_f1_interval

RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=90)
PROBABILITIES = RNG.dirichlet(np.ones(3), 90).astype(np.float32)


class Costs(Params):
    """Parameters that cannot be hashed."""

    costs: dict[str, list[float]]


def metric(compute, name="mine"):
    component = Component("mine", lambda params, *, class_names: Metric(compute), Costs)
    bound = RegisteredComponent(component, "metric", Origin("x", "x-plugin", "1.0"))
    bound = bound.bind({"costs": {"a": [0.0, 1.0]}})
    [built] = build_metrics({name: bound}, ["a", "b", "c"])
    return built


def fails(labels, probabilities):
    raise ZeroDivisionError("no image of c")


def shuffles(labels, probabilities):
    probabilities.sort()


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (fails, 'metric "mine" of x-plugin 1.0 failed in compute on 90 validation images: Zero'),
        (shuffles, "ValueError: (sort array|assignment destination) is read-only"),
        (lambda *_: "high", 'metric "mine" of x-plugin 1.0: compute must return a float, not str'),
        (lambda *_: True, "must return a float, not bool"),
        (lambda *_: np.ones(3), "must return a float, not ndarray"),
    ],
)
def test_a_metric_at_fault_is_named_before_training(compute, message):
    with pytest.raises(PluginError, match=message):
        try_metrics([metric(compute)], LABELS, 3)
    assert PROBABILITIES.flags.writeable


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(1)])
def test_every_number_is_a_value(value):
    found = metric(lambda *_: value).compute(LABELS, PROBABILITIES, "test")
    assert type(found) is float
    assert found == value


def test_what_is_not_defined_has_no_value_and_a_failure_harms_no_other():
    said = []
    metrics = [
        metric(lambda *_: np.inf, "one"),
        metric(fails, "two"),
        metric(lambda *_: 1, "three"),
    ]
    found = measure_named(metrics, LABELS, PROBABILITIES, "test", said.append)
    assert [of["value"] for of in found.values()] == [None, None, 1.0]
    assert [of["interval"] for of in found.values()] == [None, None, [1.0, 1.0]]
    assert said[0] == 'the metric "one" is not defined on the test images.'
    assert "ZeroDivisionError: no image of c" in said[1]


def test_the_interval_is_that_of_resampled_rows():
    mine = metric(lambda labels, said: macro_f1(confusion_matrix(labels, said)))
    drawn = resampled([mine], LABELS, PROBABILITIES)["mine"]
    assert interval_of(drawn) == pytest.approx(macro_f1_interval(PROBABILITIES, LABELS))


def test_resamples_without_a_value_are_left_out_if_they_are_few():
    drawn = np.arange(1000.0)
    drawn[:50] = np.nan
    assert interval_of(drawn) == pytest.approx(np.quantile(drawn[50:], [0.025, 0.975]))
    drawn[50] = np.nan
    assert interval_of(drawn) is None


def test_more_probabilities_take_fewer_resamples_and_a_slow_metric_no_interval(monkeypatch):
    monkeypatch.setattr(named, "CELLS", 200 * PROBABILITIES.size)
    assert len(resampled([metric(lambda *_: 1)], LABELS, PROBABILITIES)["mine"]) == 200
    monkeypatch.setattr(named, "SECONDS", 3.5)
    ticks = iter(range(1000))
    monkeypatch.setattr(named, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    drawn = resampled([metric(lambda *_: 1)], LABELS, PROBABILITIES)["mine"]
    assert len(drawn) == 4
    assert interval_of(drawn) is None


def test_which_way_is_better():
    assert NamedMetric("x", Metric(fails), None).sign == 1
    assert NamedMetric("x", Metric(fails, greater_is_better=False), None).sign == -1
