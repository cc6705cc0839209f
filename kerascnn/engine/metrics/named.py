"""The metrics that an experiment names: built, computed, and with bootstrap intervals."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from kerascnn.components.component import BoundComponent
from kerascnn.engine.metrics.significance import RESAMPLES, resamples
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Metric

TRIED = 1000  # images on which a metric is tried before training
CELLS = 5 * 10**9  # probabilities that a bootstrap reads at most, beyond the fewest resamples
FEWEST = 100  # resamples
SECONDS = 60.0  # per metric; a quick one never takes as long
DEFINED = 0.95  # the least share of resamples in which a metric with an interval is defined


@dataclass(frozen=True, eq=False)
class NamedMetric:
    """A metric of an experiment, by the name under which it is reported.

    It is a key of dicts, whatever its parameters hold: it equals only itself.
    """

    name: str
    metric: Metric
    bound: BoundComponent = field(repr=False)

    @property
    def sign(self) -> int:
        """1 if greater values are better, else -1."""
        return 1 if self.metric.greater_is_better else -1

    def compute(self, labels: np.ndarray, probabilities: np.ndarray, split: str) -> float:
        """The metric of labels [N] and probabilities [N, K]; NaN where it is not finite.

        Raises:
            PluginError: It fails, or returns another type; `split` says on which images.
        """
        try:
            value = self.metric.compute(_read_only(labels), _read_only(probabilities))
        except Exception as error:
            when = f"in compute on {len(labels):,} {split} images"
            raise self.bound.registered.fault(when, error) from error
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise PluginError(
                f'metric "{self.name}" of {self.bound.registered.origin}: compute must return a '
                f"float, not {type(value).__name__}."
            )
        return float(value) if np.isfinite(value) else float("nan")


class Measured(TypedDict):
    """A metric of a set of images.

    Args:
        value: None where it is not defined.
        interval: 95% bootstrap interval; None if there is none.
        greater_is_better: Whether greater values are better.
    """

    value: float | None
    interval: list[float] | None
    greater_is_better: bool


def build_metrics(
    components: Mapping[str, BoundComponent], class_names: Sequence[str]
) -> tuple[NamedMetric, ...]:
    """Builds metrics by name; raises InputError if one does not fit the classes."""
    names = tuple(class_names)
    return tuple(
        NamedMetric(name, bound.build(class_names=names), bound)
        for name, bound in components.items()
    )


def try_metrics(metrics: Sequence[NamedMetric], labels: np.ndarray, classes: int) -> None:
    """Computes each metric of random probabilities; raises PluginError if one fails."""
    labels = labels[:TRIED]
    drawn = np.random.default_rng(0).dirichlet(np.ones(classes), len(labels)).astype(np.float32)
    for metric in metrics:
        metric.compute(labels, drawn, "validation")


def measure_named(
    metrics: Sequence[NamedMetric],
    labels: np.ndarray,
    probabilities: np.ndarray,
    split: str,
    warned: Callable[[str], None],
    repeats: int = 1,
) -> dict[str, Measured]:
    """Each metric of labels [N] and probabilities [N, K], with its bootstrap interval.

    `repeats` as in `by_image`.
    """
    values = {metric: value_of(metric, labels, probabilities, split, warned) for metric in metrics}
    defined = [metric for metric in metrics if values[metric] is not None]
    drawn = resampled(defined, labels, probabilities, repeats=repeats)
    return {
        metric.name: Measured(
            value=value,
            interval=None if value is None else interval_of(drawn[metric.name]),
            greater_is_better=metric.metric.greater_is_better,
        )
        for metric, value in values.items()
    }


def value_of(
    metric: NamedMetric,
    labels: np.ndarray,
    probabilities: np.ndarray,
    split: str,
    warned: Callable[[str], None],
) -> float | None:
    """The metric; where it fails or is not defined None, with a warning."""
    try:
        value = metric.compute(labels, probabilities, split)
    except PluginError as error:
        warned(str(error))
        return None
    if np.isnan(value):
        warned(f'the metric "{metric.name}" is not defined on the {split} images.')
        return None
    return value


def resampled(
    metrics: Sequence[NamedMetric],
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    repeats: int = 1,
    most: int = RESAMPLES,
) -> dict[str, np.ndarray]:
    """Each metric of bootstrap samples (Efron 1979) of the images: [R], NaN where not defined.

    The samples are the same for all networks on the same images in the same order. R is `most`; for
    more than five million probabilities fewer, down to 100, so that 50,000 images of 1,000
    classes take half a minute. A metric that needs over a minute has fewer samples.
    """
    count = min(most, max(FEWEST, CELLS // probabilities.size)) if metrics else 0
    values: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    spent = dict.fromkeys(values, 0.0)
    images = len(labels) // repeats
    for drawn in resamples(images, count):
        rows = (drawn + images * np.arange(repeats)[:, None]).ravel()
        of_labels, of_probabilities = labels[rows], probabilities[rows]
        for metric in metrics:
            if spent[metric.name] > SECONDS:
                continue
            start = time.perf_counter()
            values[metric.name].append(_value(metric, of_labels, of_probabilities))
            spent[metric.name] += time.perf_counter() - start
    return {name: np.array(some) for name, some in values.items()}


def interval_of(drawn: np.ndarray) -> list[float] | None:
    """The 95% percentile interval of a metric's resamples [R]; NaN are left out.

    Returns:
        None if there are fewer than 100, or the metric is not defined in more than 5% of them.
    """
    defined = drawn[~np.isnan(drawn)]
    if len(drawn) < FEWEST or len(defined) < DEFINED * len(drawn):
        return None
    return [float(bound) for bound in np.quantile(defined, [0.025, 0.975])]


def _value(metric: NamedMetric, labels: np.ndarray, probabilities: np.ndarray) -> float:
    """NaN also where it fails: a sample may have no image of a class."""
    try:
        return metric.compute(labels, probabilities, "resampled")
    except PluginError:
        return float("nan")


def _read_only(array: np.ndarray) -> Any:
    """A view that a plugin cannot change: the array is used again."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
