"""The names under which metrics are reported."""

from pathlib import Path

import pytest
from pydantic import Field

from kerascnn import Component, Params
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.experiment.bound import bind_experiment
from kerascnn.experiment.metrics import best_by, metric_name


class Many(Params):
    needed: int
    beta: float = 1.0
    average: str = "macro"
    order: tuple[str, ...] = Field(default_factory=tuple)
    file: Path | None = None


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"needed": 3}, "mine_3"),
        ({"needed": 3, "beta": 1.0, "average": "macro"}, "mine_3"),
        ({"needed": 3, "beta": 0.5, "average": "micro"}, "mine_3_0.5_micro"),
        ({"needed": 3, "average": "two words", "order": ["a"], "file": "a.csv"}, "mine_3"),
    ],
)
def test_parameters_that_are_not_the_default_are_part_of_the_name(params, name):
    component = Component("mine", print, Many)
    assert (
        metric_name(RegisteredComponent(component, "metric", Origin("", "", "")).bind(params))
        == name
    )


def test_metrics_are_found_by_name_and_recorded(shapes_experiment, registry):
    bound = bind_experiment(shapes_experiment, registry)
    assert bound.metrics == {}
    assert "metrics" not in bound.resolved
    shapes_experiment["metrics"] = ["log_loss", {"name": "top_k", "k": 1}, {"name": "top_k"}]
    bound = bind_experiment(shapes_experiment, registry)
    assert list(bound.metrics) == ["log_loss", "top_k_1", "top_k"]
    assert bound.resolved["metrics"][2] == {"name": "top_k", "k": 5}
    assert {"code of the metric log_loss", "code of the metric top_k"} <= bound.code_keys.keys()
    assert bound.origins["metric top_k"].startswith("kerascnn ")


def test_the_metric_of_keep():
    assert [best_by(keep) for keep in ("best", "last", "best:top_k_3")] == [None, None, "top_k_3"]
