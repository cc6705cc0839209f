"""The metrics of the runs of a comparison, each computed on every run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerascnn.engine.metrics.named import (
    Measured,
    NamedMetric,
    interval_of,
    resampled,
    value_of,
)
from kerascnn.engine.result.outcome import Outcome
from kerascnn.results.compare.results import Lead
from kerascnn.results.metrics import built_metrics, listed_metrics
from kerascnn.results.predictions import Predictions


@dataclass(frozen=True)
class Drawn:
    """A metric of one run.

    Args:
        value: On the test images.
        resamples: On bootstrap samples of them, the same for all runs: [R].
    """

    metric: NamedMetric
    value: float
    resamples: np.ndarray

    @property
    def measured(self) -> Measured:
        better = self.metric.metric.greater_is_better
        return Measured(
            value=self.value, interval=interval_of(self.resamples), greater_is_better=better
        )


@dataclass(frozen=True)
class Drawings:
    """The metrics that one of the runs lists, except the accuracy, computed for all runs.

    Args:
        of: Those of each run by name; all runs have the same ones.
        left_out: Why others cannot be computed for all runs, in a sentence each.
    """

    of: dict[str, dict[str, Drawn]]
    left_out: list[str]

    def measured(self, run_id: str) -> dict[str, Measured]:
        return {name: drawn.measured for name, drawn in self.of[run_id].items()}

    def leads(self, first: str, second: str) -> dict[str, Lead]:
        """How far the first run is ahead of the second by each metric."""
        return {name: _lead(one, self.of[second][name]) for name, one in self.of[first].items()}


def draw_metrics(
    results: Sequence[Outcome],
    predictions: Mapping[str, Predictions],
    rows: Mapping[str, np.ndarray],
) -> Drawings:
    """Computes the metrics of runs.

    Args:
        results: The runs.
        predictions: Those of each run for its test images.
        rows: For each run its rows in an order that all runs share; {} if there is none.
    """
    left_out = dict[str, None]()

    def leave_out(why: str) -> None:
        left_out[why] = None

    listed = listed_metrics(results, leave_out)
    listed.pop("accuracy", None)  # every comparison has it
    of = {}
    for run in results:
        said, order = predictions[run.run_id], rows.get(run.run_id, slice(None))
        metrics = built_metrics(listed, run.class_names, leave_out)
        ordered = replace(said, labels=said.labels[order], probabilities=said.probabilities[order])
        of[run.run_id] = _drawn(metrics, ordered, leave_out)
    common = [name for name in listed if all(name in of_run for of_run in of.values())]
    return Drawings(
        {run_id: {name: of_run[name] for name in common} for run_id, of_run in of.items()},
        list(left_out),
    )


def _drawn(
    metrics: Sequence[NamedMetric], said: Predictions, leave_out: Callable[[str], None]
) -> dict[str, Drawn]:
    labels, probabilities = said.labels, said.probabilities
    values = {
        metric: value_of(metric, labels, probabilities, "test", leave_out) for metric in metrics
    }
    defined = {metric: value for metric, value in values.items() if value is not None}
    resamples = resampled(list(defined), labels, probabilities, repeats=said.repeats)
    return {m.name: Drawn(m, value, resamples[m.name]) for m, value in defined.items()}


def _lead(one: Drawn, other: Drawn) -> Lead:
    count, sign = min(len(one.resamples), len(other.resamples)), one.metric.sign
    apart = sign * (one.resamples[:count] - other.resamples[:count])
    return Lead(sign * (one.value - other.value), interval_of(apart))
