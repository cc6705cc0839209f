"""How weights do on the validation images: every metric, and the one that decides."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kerascnn.engine.metrics.score import Standing, judge
from kerascnn.engine.training.plan import Plan
from kerascnn.errors import PluginError, RunError
from kerascnn.runtime.text import abbreviated

ROUNDING = 0.01  # of a sum of probabilities, in 16 bits


def validate(
    plan: Plan, probabilities: np.ndarray, labels: np.ndarray, warned: Callable[[str], None]
) -> tuple[Standing, dict[str, float]]:
    """The score of probabilities [N, K] by labels [N], and the experiment's metrics by name.

    A metric that is not defined on these images is left out with a warning.

    Raises:
        PluginError: What the network returns are not probabilities.
        RunError: A metric is not defined, but decides.
    """
    standing = judge(probabilities, labels)
    if not np.isfinite(standing.loss):
        return standing, {}
    _refuse_other_outputs(probabilities)
    values = dict[str, float]()
    for metric in plan.metrics:
        value = metric.compute(labels, probabilities, "validation")
        if np.isnan(value):
            _refuse_deciding(plan, metric.name)
            warned(f'the metric "{metric.name}" is not defined on the validation images.')
        else:
            values[metric.name] = value
        if metric is plan.best_by:
            better = metric.metric.greater_is_better
            standing = replace(standing, metric=metric.name, value=value, greater_is_better=better)
    return standing, values


def _refuse_other_outputs(probabilities: np.ndarray) -> None:
    sums = probabilities.sum(1)
    wrong = np.flatnonzero((abs(sums - 1) > ROUNDING) | (probabilities.min(1) < 0))
    for row in wrong[:1]:
        values = abbreviated([f"{value:.3g}" for value in probabilities[row]])
        raise PluginError(
            f"the network returns no probabilities: those of a validation image are {values}, with "
            f"sum {sums[row]:.3g}. Its last layer has to be a softmax, as kerascnn.classifier_head "
            "adds."
        )


def _refuse_deciding(plan: Plan, name: str) -> None:
    stopping = plan.stage.early_stopping
    deciders = {
        f'training.keep = "{plan.keep}"': plan.best_by is not None and plan.best_by.name == name,
        "early_stopping.monitor": stopping is not None and stopping.monitor == f"val_{name}",
    }
    for decider, here in deciders.items():
        if here:
            raise RunError(
                f'stage "{plan.stage.name}": the metric "{name}" is not defined on the validation '
                f"images, so {decider} cannot decide by it; choose another metric there."
            )
