"""The metrics of an epoch, and the one that decides."""

import numpy as np
import pytest

from kerascnn import Metric, PluginError, RunError
from kerascnn.engine.metrics.named import NamedMetric
from kerascnn.engine.metrics.score import judge
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.validation import validate
from kerascnn.experiment.model import EarlyStopping, Stage

LABELS = np.arange(6) % 3
PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(3), 6).astype(np.float32)
STOPPING = {"early_stopping": EarlyStopping(monitor="val_given")}


def plan(value, keep="best", **stage):
    metric = NamedMetric("given", Metric(lambda *_: value, greater_is_better=False), None)
    stage = Stage(name="trial", epochs=1, learning_rate=0.1, **stage)
    return Plan(stage, 0, frozenset(), "frozen", 8, None, keep=keep, metrics=(metric,))


def test_accuracy_decides_unless_keep_names_a_metric():
    judged = judge(PROBABILITIES, LABELS)
    for keep in ("best", "last"):
        standing, values = validate(plan(3, keep), PROBABILITIES, LABELS, pytest.fail)
        assert values == {"given": 3}
        assert (standing.metric, standing.accuracy, standing.loss) == (
            "",
            judged.accuracy,
            judged.loss,
        )
    standing, _ = validate(plan(3, "best:given"), PROBABILITIES, LABELS, pytest.fail)
    assert (standing.metric, standing.value, standing.greater_is_better) == ("given", 3, False)


def test_a_metric_without_a_value_is_left_out_with_a_warning_unless_it_decides():
    said = []
    _, values = validate(plan(np.nan), PROBABILITIES, LABELS, said.append)
    assert values == {}
    assert said == ['the metric "given" is not defined on the validation images.']
    for deciding, decider in (
        (plan(np.nan, "best:given"), 'training.keep = "best:given"'),
        (plan(np.nan, **STOPPING), "early_stopping.monitor"),
    ):
        with pytest.raises(RunError, match=f'^stage "trial": the metric "given".*{decider}'):
            validate(deciding, PROBABILITIES, LABELS, pytest.fail)


@pytest.mark.parametrize(
    "outputs", [PROBABILITIES / 2, np.log(PROBABILITIES), PROBABILITIES + np.float32([1, -1, 0])]
)
def test_outputs_that_are_no_probabilities_are_refused(outputs):
    with pytest.raises(PluginError, match=r"image are [-\d., e]+, with sum .* a softmax"):
        validate(plan(3), outputs, LABELS, pytest.fail)
    in_16_bits = PROBABILITIES.astype("float16").astype("float32")
    assert validate(plan(3), in_16_bits, LABELS, pytest.fail)[1] == {"given": 3}
