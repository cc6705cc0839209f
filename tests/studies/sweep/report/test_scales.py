"""Where the figures of a sweep place values."""

import numpy as np
import pytest
from swept import LONG, swept, trial

from kerascnn.studies.sweep.report.scales import Scale, frame, scale_of, ticks


def test_a_decade_is_logarithmic_as_it_was_drawn(tmp_path):
    scale = scale_of(swept(tmp_path), "stages.head.learning_rate")
    low, high = scale.ends
    assert scale.log
    assert scale.place(np.sqrt(low * high)) == pytest.approx(0.5)
    assert [label for _, label in scale.ticks] == ["0.0003", "0.001", "0.003"]


def test_choices_lie_side_by_side_in_the_order_of_the_file(tmp_path):
    scale = scale_of(swept(tmp_path), "training.ema")
    assert (scale.place(True), scale.place(False)) == (0.25, 0.75)
    assert np.isnan(scale.place(1))  # another type is another choice
    (_, short), (_, long) = scale_of(swept(tmp_path), "architecture.name").ticks
    assert short == "mobilenet_v2"
    assert len(long) < len(LONG)
    assert long.startswith("a_component")
    assert long.endswith("ers_long")


def test_one_value_is_a_category(tmp_path):
    only = [trial(0, 0.9, {"x": 3.0})]
    result = swept(tmp_path, space={"x": {"from": 1.0, "to": 5.0}}, trials=only)
    assert scale_of(result, "x") == Scale(None, False, (3.0,))


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (1e-5, 1e-2, True, [1e-5, 1e-4, 1e-3, 1e-2]),
        (2e-4, 4e-4, True, [2e-4, 4e-4]),
        (8, 64, False, [15, 30, 45, 60]),
    ],
)
def test_ticks_are_few_and_round(low, high, log, expected):
    assert ticks(low, high, log) == pytest.approx(expected)


def test_a_diverged_trial_does_not_flatten_the_others():
    low, high = frame([0.5, 0.52, 0.54, 1e6, float("nan")], greater_is_better=False)
    assert low < 0.5
    assert 0.54 < high < 1
    assert frame([], greater_is_better=True) is None
